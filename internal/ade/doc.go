// Package ade is Apple's service for Automated Device Enrollment (once DEP) as the manager sees it: the server token of Apple Business Manager or
// Apple School Manager, the organisation's devices, and the profiles of Setup Assistant.
//
// It stands on the client of nanodep and is the only package that knows it.
//
// Sources: https://developer.apple.com/documentation/devicemanagement/device-assignment and the code of github.com/micromdm/nanodep.
package ade

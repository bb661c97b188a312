// Package apple speaks Apple's MDM protocol: check-in, commands, SCEP and the enrolment profile. It decides nothing about devices; every
// request is one call of fleet, and so one transaction.
package apple

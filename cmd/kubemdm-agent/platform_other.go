//go:build !windows

package main

import "errors"

func newPlatform() (platform, error) { return nil, errors.New("the agent works on Windows only") }

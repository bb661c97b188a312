package main

import (
	"context"
	"errors"
	"fmt"
)

// status returns one line for each part and whether all of them work.
func (c *cluster) status(ctx context.Context) (lines []string, healthy bool) {
	healthy = true
	add := func(part, state string, err error) {
		if err != nil {
			state, healthy = "NOT WORKING: "+err.Error(), false
		}
		lines = append(lines, fmt.Sprintf("%-24s %s", part, state))
	}
	for _, name := range daemonNames {
		state, err := c.daemonState(name)
		add(name, state, err)
	}
	add("apiserver", "ready", c.apiserverReady(ctx))
	add("node", "ready", c.nodeReady(ctx))
	add("cluster DNS", "answers", c.dnsWorks(ctx))
	add("cert-manager", "ready", c.certManagerReady(ctx))
	volumes, err := c.volumes(ctx)
	add("volumes", fmt.Sprintf("%d free of %d", len(inPhase(volumes, "Available")), len(volumes)), err)
	return lines, healthy
}

func (c *cluster) daemonState(name string) (string, error) {
	running, err := c.running(name)
	if err == nil && len(running) == 0 {
		err = errors.New("not running")
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("running, pid %d", running[0].pid), nil
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc: USER_HZ is 100 on every Linux.
const tick = 10 * time.Millisecond

// stat is what /proc/<pid>/stat says of a process: its parent, and the time of processors that it used, its children that have ended included.
type stat struct {
	parent int
	cpu    time.Duration
}

// parseStat reads the line (proc_pid_stat(5)). The name of the program is in parentheses and may hold anything.
func parseStat(line string) (stat, error) {
	end := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) < 15 {
		return stat{}, fmt.Errorf("no line of /proc/<pid>/stat: %q", line)
	}
	var s stat
	for i, field := range fields[:15] {
		n, err := strconv.Atoi(field)
		switch {
		case i != 1 && i < 11:
		case err != nil:
			return stat{}, fmt.Errorf("field %d of /proc/<pid>/stat: %w", i+3, err)
		case i == 1:
			s.parent = n
		default: // utime, stime, cutime, cstime
			s.cpu += time.Duration(n) * tick
		}
	}
	return s, nil
}

// treeCPU is the time of processors that a process and all below it have used.
func treeCPU(root int) (time.Duration, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	stats := map[int]stat{}
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // the pattern has digits only
		if stats[pid], err = parseStat(string(line)); err != nil {
			return 0, err
		}
	}
	var sum time.Duration
	for pid := range stats {
		for above := pid; above > 0; above = stats[above].parent {
			if above == root {
				sum += stats[pid].cpu
			}
		}
	}
	return sum, nil
}

// peakResident is the most memory that a process has had in RAM, in MB.
func peakResident(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(status)
}

func parsePeak(status []byte) (float64, error) {
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(string(value)), " kB"), 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("there is no VmHWM in /proc/<pid>/status")
}

// Package cputime measures benchmarks by the time of processors, which other programs on the machine do not change.
package cputime

import (
	"syscall"
	"testing"
	"time"
)

// PerSecond runs a benchmark and reports how many of its iterations one second of one processor is good for, as "<unit>/cpu-s". All that the process does
// meanwhile counts, a client's half too; ServerPerSecond leaves that out.
func PerSecond(b *testing.B, unit string, run func()) {
	b.Helper()
	b.ReportAllocs()
	before := used(b)
	run()
	b.ReportMetric(float64(b.N)/(used(b)-before).Seconds(), unit+"/cpu-s")
}

func used(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

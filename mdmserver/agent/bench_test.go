package agent_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// quiet is what a fleet that is at rest says.
type quiet struct{ fakeFleet }

func (quiet) Agent(context.Context, string) (fleet.AgentNotice, error) {
	return fleet.AgentNotice{}, nil
}

// BenchmarkPoll is a poll from its decoding to its answer, without the wire.
func BenchmarkPoll(b *testing.B) {
	h := handler(&quiet{})
	perCPUSecond(b, func() {
		for b.Loop() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, config, strings.NewReader(poll)))
		}
	})
}

// BenchmarkPollOverHTTP is a poll over a connection that stays open, the agent's half included.
func BenchmarkPollOverHTTP(b *testing.B) {
	server := httptest.NewServer(handler(&quiet{}))
	defer server.Close()
	perCPUSecond(b, func() {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				res, err := server.Client().Post(server.URL+config, "application/json", strings.NewReader(poll))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	})
}

// perCPUSecond reports how many polls one second of one processor is good for.
func perCPUSecond(b *testing.B, run func()) {
	b.Helper()
	b.ReportAllocs()
	before := cpu(b)
	run()
	b.ReportMetric(float64(b.N)/(cpu(b)-before).Seconds(), "polls/cpu-s")
}

// cpu is the time that processors spent on this process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

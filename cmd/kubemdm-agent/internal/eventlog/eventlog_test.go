package eventlog_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/eventlog"
)

type sink []string

func (s *sink) Info(_ uint32, m string) error    { *s = append(*s, "info: "+m); return nil }
func (s *sink) Warning(_ uint32, m string) error { *s = append(*s, "warning: "+m); return nil }
func (s *sink) Error(_ uint32, m string) error   { *s = append(*s, "error: "+m); return nil }

func TestRecordsKeepTheirLevel(t *testing.T) {
	var events sink
	log := slog.New(eventlog.NewHandler(&events))
	log.Debug("not shown")
	log.Info("the agent is enrolled")
	log.Warn("asking failed", "error", errors.New("no route"))
	log.With("server", "a").WithGroup("g").Error("failed", "time", 1)
	want := sink{
		"info: msg=\"the agent is enrolled\"\n",
		"warning: msg=\"asking failed\" error=\"no route\"\n",
		"error: msg=failed server=a g.time=1\n",
	}
	if !slices.Equal(events, want) {
		t.Errorf("%q, want %q", events, want)
	}
}

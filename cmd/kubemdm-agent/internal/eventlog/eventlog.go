// Package eventlog writes structured logs to the event log of Windows.
package eventlog

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// eventID is the same for all: it is the level that people filter by.
const eventID = 1

// Sink is an opened event log.
type Sink interface {
	Info(id uint32, message string) error
	Warning(id uint32, message string) error
	Error(id uint32, message string) error
}

// handler gives each record, rendered as text, to the sink.
type handler struct {
	slog.Handler
	shared *shared
}

// shared is what the handlers of one log have in common: one record is rendered at a time.
type shared struct {
	sink Sink
	mu   sync.Mutex
	text bytes.Buffer
}

// NewHandler returns a handler for records from slog.LevelInfo on. The event log itself notes the time.
func NewHandler(sink Sink) slog.Handler {
	s := &shared{sink: sink}
	return handler{slog.NewTextHandler(&s.text, &slog.HandlerOptions{ReplaceAttr: withoutTimeAndLevel}), s}
}

func withoutTimeAndLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	h.shared.mu.Lock()
	defer h.shared.mu.Unlock()
	h.shared.text.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	write := h.shared.sink.Info
	switch {
	case r.Level >= slog.LevelError:
		write = h.shared.sink.Error
	case r.Level >= slog.LevelWarn:
		write = h.shared.sink.Warning
	}
	return write(eventID, h.shared.text.String())
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.shared}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.shared}
}

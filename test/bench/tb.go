package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
)

// harness is the testing.TB of helpers that were written for tests. What ends a test ends the run, and what a test cleans up is cleaned up when it ends.
type harness struct {
	testing.TB // nil: all that the helpers call is below
	ctx        context.Context
	dir        string
	cleanups   []func()
}

// failure is what Fatal panics with.
type failure struct{ error }

// withHarness calls do and then cleans up, however do ended.
func withHarness(ctx context.Context, do func(*harness)) (err error) {
	h := &harness{ctx: ctx}
	h.dir, err = os.MkdirTemp("", "kubemdm-bench-")
	if err != nil {
		return err
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default:
			defer panic(r)
		}
		for len(h.cleanups) > 0 { // a cleanup may add one
			last := len(h.cleanups) - 1
			cleanup := h.cleanups[last]
			h.cleanups = h.cleanups[:last]
			cleanup()
		}
		err = errors.Join(err, os.RemoveAll(h.dir))
	}()
	do(h)
	return nil
}

// Helper implements testing.TB.
func (h *harness) Helper() {}

// Context implements testing.TB.
func (h *harness) Context() context.Context { return h.ctx }

// Cleanup implements testing.TB.
func (h *harness) Cleanup(do func()) { h.cleanups = append(h.cleanups, do) }

// Fatal implements testing.TB.
func (h *harness) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

// Fatalf implements testing.TB.
func (h *harness) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// TempDir implements testing.TB.
func (h *harness) TempDir() string {
	dir, err := os.MkdirTemp(h.dir, "")
	h.must(err)
	return dir
}

func (h *harness) must(err error) {
	if err == nil {
		return
	}
	if cause := context.Cause(h.ctx); cause != nil {
		err = cause
	}
	panic(failure{err})
}

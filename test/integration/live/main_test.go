package live_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// logs shows what went wrong.
var logs = slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(logs))
	klog.SetLogger(logr.FromSlogHandler(logs))
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

package all

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubemdm/kubemdm/test/system/harness"
)

const (
	macs     = 50
	commands = 10 // for each Mac, which makes 500 round trips
)

// TestKilledUnderLoad kills the server and the manager without a warning while devices answer commands.
func TestKilledUnderLoad(t *testing.T) {
	f := &fleet{Walk: harness.Start(t, "kubemdm-kill")}
	harness.Take(t, f.ToServer()...)
	harness.Take(t,
		f.enrol("load", macs),
		harness.Step{Title: "both are killed in the middle of 500 round trips", Do: f.killInTheMiddle},
		harness.Step{Title: "every command has one final result of every Mac", Do: f.allAnswered},
		harness.Step{Title: "every Device tells the truth", Do: func(ctx context.Context) error {
			return f.Wait(ctx, "the Devices", f.allEnrolled)
		}},
	)
}

func commandName(i int) string { return fmt.Sprintf("ask-%d", i) }

// killInTheMiddle lets the Macs connect and kills the server when they have answered a quarter, and the manager when they have answered half.
func (f *fleet) killInTheMiddle(ctx context.Context) error {
	for i := range commands {
		if err := f.ask(ctx, commandName(i), "load"); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var connecting sync.WaitGroup
	connecting.Go(func() {
		for ctx.Err() == nil {
			_ = f.macs.Connect(ctx) // a killed server answers nobody
		}
	})
	err := errors.Join(
		f.killAfter(ctx, macs*commands/4, "mdmserver", f.serverPod),
		f.killAfter(ctx, macs*commands/2, "manager", f.managerPod),
	)
	cancel()
	connecting.Wait()
	return err
}

// killAfter kills the program of a pod as soon as the Macs have given so many answers, and waits until kubelet has noticed.
func (f *fleet) killAfter(ctx context.Context, answers int, program string, find func(context.Context) (*corev1.Pod, error)) error {
	err := f.Wait(ctx, fmt.Sprintf("%d answers", answers), func(context.Context) (bool, string, error) {
		n := f.macs.Counts().Answers["Acknowledged"]
		return n >= answers, fmt.Sprint(n), nil
	})
	if err != nil {
		return err
	}
	if n := f.macs.Counts().Answers["Acknowledged"]; n >= macs*commands {
		return fmt.Errorf("%s was to be killed in the middle, and all %d answers were given", program, n)
	}
	return f.kill(ctx, program, find)
}

// kill kills the program of a pod and waits until kubelet has started it again.
func (f *fleet) kill(ctx context.Context, program string, find func(context.Context) (*corev1.Pod, error)) error {
	pod, err := find(ctx)
	if err != nil {
		return err
	}
	return f.Kill(ctx, pod, program)
}

func (f *fleet) allAnswered(ctx context.Context) error {
	for i := range commands {
		if err := f.answered(ctx, commandName(i)); err != nil {
			return err
		}
	}
	return nil
}

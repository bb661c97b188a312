package devicesim

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Fleet is many devices.
type Fleet struct{ Devices []*Device }

// NewFleet makes this many devices; options gives those of each index. Devices that share a Client and a KeyPool cost
// little: RSA keys are what takes time.
func NewFleet(count int, options func(index int) Options) (*Fleet, error) {
	f := &Fleet{Devices: make([]*Device, count)}
	for i := range f.Devices {
		device, err := New(options(i))
		if err != nil {
			return nil, fmt.Errorf("making device %d: %w", i, err)
		}
		f.Devices[i] = device
	}
	return f, nil
}

// Each calls do for every device, for at most workers of them at a time, and joins the errors. It starts no more once ctx ends.
func (f *Fleet) Each(ctx context.Context, workers int, do func(context.Context, *Device) error) error {
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		failed []error
		slots  = make(chan struct{}, workers)
	)
	for _, device := range f.Devices {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			err := ctx.Err()
			if err == nil {
				err = do(ctx, device)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("%s: %w", device.opts.SerialNumber, err))
			}
		})
	}
	group.Wait()
	return errors.Join(failed...)
}

// Enroll enrols every device that is not enrolled yet with the same enrolment URL.
func (f *Fleet) Enroll(ctx context.Context, workers int, enrollURL string) error {
	return f.Each(ctx, workers, func(ctx context.Context, d *Device) error {
		if d.Enrolled() {
			return nil
		}
		return d.Enroll(ctx, enrollURL)
	})
}

// Idle lets every device connect once.
func (f *Fleet) Idle(ctx context.Context, workers int) error {
	return f.Each(ctx, workers, func(ctx context.Context, d *Device) error { return d.Idle(ctx) })
}

// Run runs every enrolled device until ctx ends. A device that leaves management stops alone.
func (f *Fleet) Run(ctx context.Context) error {
	err := f.Each(ctx, max(len(f.Devices), 1), func(ctx context.Context, d *Device) error {
		if err := d.Run(ctx); !errors.Is(err, ErrNotEnrolled) && ctx.Err() == nil {
			return err
		}
		return nil
	})
	return errors.Join(err, ctx.Err())
}

// Counts sums up a fleet.
type Counts struct {
	Enrolled int
	// Installed counts the devices that have a profile on the device channel, by PayloadIdentifier.
	Installed map[string]int
	// Answers counts what was answered, by status.
	Answers map[string]int
}

// Counts looks at every device.
func (f *Fleet) Counts() Counts {
	counts := Counts{Installed: map[string]int{}, Answers: map[string]int{}}
	for _, device := range f.Devices {
		if device.Enrolled() {
			counts.Enrolled++
		}
		for identifier := range device.Profiles() {
			counts.Installed[identifier]++
		}
		for _, answer := range device.Answers() {
			counts.Answers[answer.Status]++
		}
	}
	return counts
}

package devicesim

import (
	"context"
	"errors"
	"time"
)

// Run connects the device channel at once, at each push and at each poll, until ctx ends or the device is no longer managed
// (ErrNotEnrolled). Channels of users have a Run of their own.
func (d *Device) Run(ctx context.Context) error {
	e, err := d.current()
	if err != nil {
		return err
	}
	return e.device.Run(ctx)
}

// Run is Device.Run for this channel.
func (c *Channel) Run(ctx context.Context) error {
	for {
		putOff, err := c.connect(ctx)
		pause := c.device.opts.PollInterval
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !c.device.Enrolled() || errors.Is(err, ErrNotEnrolled):
			return ErrNotEnrolled
		case errors.Is(err, ErrPoweredOff):
		case err != nil:
			c.device.event(EventFailed, err.Error())
			pause = c.device.opts.RetryInterval
		case putOff:
			pause = c.device.opts.RetryInterval
		}
		if err := c.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// sleep returns when the channel has a reason to connect: a push or the end of the pause (0: it has no end).
func (c *Channel) sleep(ctx context.Context, pause time.Duration) error {
	var alarm <-chan time.Time
	if pause > 0 {
		alarm = c.device.opts.After(pause)
	}
	listening, stop := context.WithCancel(ctx)
	defer stop()
	pushed := make(chan struct{}, 1)
	if c.device.opts.Waker != nil {
		go c.listen(listening, pushed)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-alarm:
	case <-pushed:
	}
	return nil
}

// listen signals the first push with the channel's magic; a device ignores any other.
func (c *Channel) listen(ctx context.Context, pushed chan<- struct{}) {
	for {
		magic, err := c.device.opts.Waker.Wait(ctx, c.token)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.device.event(EventFailed, err.Error())
			if c.device.wait(ctx, c.device.opts.RetryInterval) != nil {
				return
			}
		case magic == "" || magic == c.magic:
			pushed <- struct{}{}
			return
		default:
			c.device.event(EventFailed, "to recognise the magic of a push")
		}
	}
}

package fleet

import (
	"bytes"
	"context"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Pauses between pushes to a channel that does not connect: a minute, doubling up to an hour, then a day each.
const (
	wakeFirst    = time.Minute
	wakeMost     = time.Hour
	wakeSilent   = 24 * time.Hour
	wakesPerHour = 12 // pushes after which the pause is a day
)

// WorkSignal gets a value soon after work was stored for some channel; several may come as one.
func (f *Fleet) WorkSignal() <-chan struct{} { return f.work }

// Wakes returns at most limit channels whose push is due and settles when the next one is, should the device not connect before.
func (f *Fleet) Wakes(ctx context.Context, limit int) ([]Wake, error) {
	var wakes []Wake
	due := false
	err := f.view(ctx, func(tx *txn) error {
		rows, err := tx.DueChannels(tx.now, 1)
		due = len(rows) > 0
		return err
	})
	if err != nil || !due {
		return nil, err
	}
	err = f.update(ctx, func(tx *txn) error {
		wakes = nil
		rows, err := tx.DueChannels(tx.now, limit)
		if err != nil {
			return err
		}
		for _, c := range rows {
			c.WakeAt = tx.now.Add(wakePause(c.Wakes))
			c.Wakes++
			if magic, err := f.open(c.PushMagic, sealedMagic, c.ID); err == nil {
				wakes = append(wakes, Wake{ChannelID: c.ID, PushInfo: PushInfo{Token: c.PushToken, Magic: string(magic), Topic: c.Topic}})
			} else { // without this one the others are woken still
				f.opts.Log.Error("a device cannot be woken; it is tried again with growing pauses", "error", err)
			}
			if err := tx.PutChannel(c); err != nil {
				return err
			}
		}
		return nil
	})
	return wakes, err
}

func wakePause(wakes int) time.Duration {
	if wakes >= wakesPerHour {
		return wakeSilent
	}
	return backoff(wakes, wakeFirst, wakeMost)
}

// WakeDone takes the outcomes of pushes. Only a token that APNs called unregistered after the device sent it is not pushed to any more; no other
// outcome changes a device.
func (f *Fleet) WakeDone(ctx context.Context, results []WakeResult) error {
	return f.update(ctx, func(tx *txn) error {
		for _, r := range results {
			if r.Outcome != WakeUnregistered && r.Outcome != WakeRejected {
				continue
			}
			c, err := tx.Channel(r.ChannelID)
			if err != nil {
				return err
			}
			if c == nil || !c.Enabled || !bytes.Equal(c.PushToken, r.Token) {
				continue
			}
			switch {
			case r.Outcome == WakeRejected:
				c.WakeAt = tx.now.Add(wakeSilent)
			case r.Timestamp.After(c.TokenAt):
				c.Unregistered = true
				tx.touch(adminapi.KindDevice, c.DeviceID)
			}
			if err := tx.PutChannel(*c); err != nil {
				return err
			}
		}
		return nil
	})
}

// WakeNow makes the devices be pushed to at once, whether anything waits for them or not. Unknown devices are no error.
func (f *Fleet) WakeNow(ctx context.Context, deviceIDs []string) error {
	return f.update(ctx, func(tx *txn) error {
		for _, id := range deviceIDs {
			if err := tx.wakeAll(id); err != nil {
				return err
			}
		}
		return nil
	})
}

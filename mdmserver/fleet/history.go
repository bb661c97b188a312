package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// rememberHistory is how long an entry is kept, unless the device has more than adminapi.MaxHistory newer ones.
const rememberHistory = 30 * 24 * time.Hour

// Request types in history of commands that are for no action. Profiles have Apple's names for what is done to them, on Windows too.
const (
	requestInstall    = "InstallProfile"
	requestRemove     = "RemoveProfile"
	requestRenew      = "Renew"
	requestConfigured = "DeviceConfigured"
	requestUnenroll   = adminapi.AppleUnenroll
)

// tell appends an entry about what the transaction does.
func (t *txn) tell(e adminapi.HistoryEntry) error {
	seq, err := t.NextVersion()
	if err != nil {
		return err
	}
	e.Seq, e.At, e.Message = seq, t.now, clip(e.Message, maxMessage)
	t.told = true
	return t.AppendHistory(e)
}

// tellDevice appends an entry about the enrolment of a device.
func (t *txn) tellDevice(d *DeviceRow, kind adminapi.HistoryType, message string) error {
	return t.tell(adminapi.HistoryEntry{DeviceID: d.ID, Type: kind, Message: message})
}

// tellEnrolled says by what a device enrolled.
func (t *txn) tellEnrolled(d *DeviceRow) error {
	by := ""
	switch {
	case d.Automated != "":
		by = "by the automated enrolment " + string(d.Automated)
	case d.Token != "":
		by = "by the token " + string(d.Token)
	}
	return t.tellDevice(d, adminapi.HistoryEnrolled, by)
}

// about is an entry of the channel without a type.
func (s *session) about(e adminapi.HistoryEntry) adminapi.HistoryEntry {
	e.DeviceID, e.Channel = s.device.ID, s.channel.ID
	return e
}

// tellCommand appends an entry about a command of the channel. target is that of an action, nil if it is forgotten.
func (s *session) tellCommand(row *CommandRow, target *TargetRow, kind adminapi.HistoryType, message string) error {
	e := s.about(adminapi.HistoryEntry{Type: kind, CommandUUID: row.UUID, Message: message})
	switch row.Kind {
	case CommandInstall:
		e.RequestType, e.Artifact = requestInstall, adminapi.Key(row.Key)
	case CommandRemove:
		e.RequestType = requestRemove
		record, err := s.tx.Record(s.channel.ID, row.Key)
		if err != nil {
			return err
		}
		if record != nil {
			e.Artifact = record.Artifact
		}
	case CommandAction:
		if target != nil {
			e.RequestType, e.Action = target.RequestType, target.Action
		}
	case CommandRenew:
		e.RequestType = requestRenew
	case CommandUnenroll:
		e.RequestType = requestUnenroll
	case CommandConfigured:
		e.RequestType = requestConfigured
	}
	return s.tx.tell(e)
}

// tellAnswer appends an entry about the answer to a command.
func (s *session) tellAnswer(row *CommandRow, r Report) error {
	switch r.Status {
	case StatusAcknowledged:
		return s.tellCommand(row, s.target, adminapi.HistoryAcknowledged, "")
	case StatusNotNow:
		return s.tellCommand(row, s.target, adminapi.HistoryNotNow, "")
	}
	return s.tellCommand(row, s.target, adminapi.HistoryFailed, failure(r))
}

// tellArtifact appends an entry about an artifact on the channel that goes without a command row, tellTarget about an action.
func (s *session) tellArtifact(key adminapi.Key, request string, kind adminapi.HistoryType, message string) error {
	return s.tx.tell(s.about(adminapi.HistoryEntry{Type: kind, Artifact: key, RequestType: request, Message: message}))
}

func (s *session) tellTarget(t *TargetRow, kind adminapi.HistoryType, message string) error {
	return s.tx.tell(s.about(adminapi.HistoryEntry{Type: kind, Action: t.Action, RequestType: t.RequestType, Message: message}))
}

// History returns at most limit entries after a number as soon as there is one, oldest first, or none after wait. A negative number, and one that the store
// never came to (it was restored), is answered at once with no entry and the Next from which those to come can be read.
func (f *Fleet) History(ctx context.Context, after int64, wait time.Duration, limit int) (*adminapi.HistoryPage, error) {
	if limit <= 0 || limit > adminapi.MaxPage {
		limit = adminapi.MaxPage
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		changed := f.changes() // before reading, so that nothing committed in between is missed
		page, err := f.historyAfter(ctx, after, limit)
		if err != nil || len(page.Items) > 0 || page.Next != after {
			return page, err
		}
		select {
		case <-changed:
		case <-deadline.C:
			return page, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *Fleet) historyAfter(ctx context.Context, after int64, limit int) (*adminapi.HistoryPage, error) {
	page := &adminapi.HistoryPage{StoreEpoch: f.StoreEpoch(), Next: after}
	err := f.view(ctx, func(tx *txn) error {
		last, err := tx.LastHistory()
		if err != nil {
			return err
		}
		if after < 0 || after > last {
			page.Next = last
			return nil
		}
		if page.Items, err = tx.HistoryAfter(after, limit); err == nil && len(page.Items) > 0 {
			page.Next = page.Items[len(page.Items)-1].Seq
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// sweepHistory forgets old entries.
func (f *Fleet) sweepHistory(tx *txn) (int, error) {
	return tx.DeleteHistory(tx.now.Add(-rememberHistory), sweepBatch)
}

// sweepExcess forgets what devices have too much of. It looks at the devices that got entries since it looked last, so that it costs nothing in a quiet
// fleet.
func (f *Fleet) sweepExcess(tx *txn) (int, error) {
	text, err := tx.Meta(metaHistorySwept)
	if err != nil {
		return 0, err
	}
	swept, err := strconv.ParseInt(cmp.Or(text, "0"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading how far history was swept: %w", err)
	}
	entries, err := tx.HistoryAfter(swept, sweepBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	var devices []string
	for _, e := range entries {
		devices = append(devices, e.DeviceID)
	}
	slices.Sort(devices)
	for _, id := range slices.Compact(devices) {
		if err := tx.TrimHistory(id, adminapi.MaxHistory); err != nil {
			return 0, err
		}
		if err := tx.TrimResults(id, keptResults); err != nil {
			return 0, err
		}
	}
	return len(entries), tx.SetMeta(metaHistorySwept, strconv.FormatInt(entries[len(entries)-1].Seq, 10))
}

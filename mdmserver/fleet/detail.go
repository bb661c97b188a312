package fleet

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// DeviceDetail returns all that is known of one device. Error: adminapi.CodeNotFound.
func (f *Fleet) DeviceDetail(ctx context.Context, deviceID string) (*adminapi.DeviceDetail, error) {
	out := &adminapi.DeviceDetail{}
	err := f.view(ctx, func(tx *txn) error {
		device, err := tx.Device(deviceID)
		if err != nil {
			return err
		}
		if device == nil {
			return &adminapi.Error{Code: adminapi.CodeNotFound, Message: "no device has this id"}
		}
		if out.Device, err = f.fullDevice(tx, device); err != nil {
			return err
		}
		progress, err := tx.ProgressOf(deviceID)
		if err != nil {
			return err
		}
		for _, row := range progress {
			out.Artifacts = append(out.Artifacts, f.artifactState(&row))
		}
		slices.SortStableFunc(out.Artifacts, func(a, b adminapi.ArtifactState) int {
			return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Artifact, b.Artifact))
		})
		out.History, err = tx.HistoryOf(deviceID, adminapi.MaxHistory)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ArtifactStates lists how far an artifact is on each channel of the devices that are to have it or still carry it; devices that are ignored are left
// out, as in ArtifactStatus. A device without a channel for it is listed once, without one. after is what Page.Next said. Errors:
// adminapi.CodeNotFound, adminapi.CodeInvalid (another after).
func (f *Fleet) ArtifactStates(ctx context.Context, key adminapi.Key, after string, limit int) (*adminapi.Page[adminapi.ArtifactState], error) {
	place, err := ParseProgressPlace(after)
	if err != nil {
		return nil, err
	}
	return page(ctx, f, limit, func(tx *txn, limit int) ([]ProgressRow, error) {
		artifact, err := tx.Artifact(key)
		if err != nil {
			return nil, err
		}
		if artifact == nil {
			return nil, &adminapi.Error{Code: adminapi.CodeNotFound, Message: "no artifact has this key"}
		}
		return tx.Progress(key, place, limit)
	}, func(_ *txn, row *ProgressRow) (adminapi.ArtifactState, string, error) {
		place := ProgressPlace{Part: row.Part, DeviceID: row.DeviceID, ChannelID: row.ChannelID}
		return f.artifactState(row), place.String(), nil
	})
}

// maxPlace bounds what a page says of the next one, in bytes: two identifiers.
const maxPlace = 4096

// String is the place as a page says it of the next one.
func (p ProgressPlace) String() string {
	text, _ := json.Marshal(p) // two strings and a number always have a form
	return base64.RawURLEncoding.EncodeToString(text)
}

// ParseProgressPlace reads what String made; nothing is the begin of the list. Error: adminapi.CodeInvalid.
func ParseProgressPlace(after string) (ProgressPlace, error) {
	var place ProgressPlace
	if after == "" {
		return place, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after[:min(len(after), maxPlace)])
	if err == nil {
		err = json.Unmarshal(text, &place)
	}
	if err != nil || len(after) > maxPlace || place.Part < ProgressWanted || place.Part > ProgressUnreached {
		return place, &adminapi.Error{Code: adminapi.CodeInvalid, Message: "after is not what a page of this list said of the next one"}
	}
	return place, nil
}

// artifactState merges what is wanted, what was offered and what is there.
func (f *Fleet) artifactState(row *ProgressRow) adminapi.ArtifactState {
	state := adminapi.ArtifactState{
		Artifact: row.Artifact, DeviceID: row.DeviceID, Channel: row.ChannelID, Identifier: row.Identifier, Digest: row.Digest, Outcome: row.outcome(),
		Message: row.Message, Since: row.Since, LastSeen: row.LastSeen, Responding: row.Responding,
	}
	if seen := f.lastSeen(row.DeviceID); seen.After(state.LastSeen) {
		state.LastSeen = seen
	}
	if state.Outcome != adminapi.ArtifactInstalled && state.Outcome != adminapi.ArtifactFailed { // else the offer is that of reading it back
		state.Attempts, state.NextAttempt = row.Attempts, row.NextAttempt
	}
	return state
}

func (row *ProgressRow) outcome() adminapi.ArtifactOutcome {
	switch {
	case row.Part == ProgressRemoving:
		return adminapi.ArtifactRemoving
	case row.Outcome == OutcomeInstalled:
		return adminapi.ArtifactInstalled
	case row.Outcome == OutcomeFailed:
		return adminapi.ArtifactFailed
	case row.State == OfferSent:
		return adminapi.ArtifactSent
	case row.Outcome == OutcomeNotNow:
		return adminapi.ArtifactNotNow
	}
	return adminapi.ArtifactPending
}

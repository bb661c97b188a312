package live

import (
	"fmt"
	"strconv"
	"time"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxMessage bounds what devices say, in characters.
const maxMessage = 1024

// profileState is how far a Profile is, with why in words.
func profileState(s adminapi.ArtifactState, now time.Time) livev1alpha1.ProfileState {
	out := livev1alpha1.ProfileState{
		Profile: convert.Name(s.Artifact), Identifier: s.Identifier, Outcome: string(s.Outcome), Message: why(s, now),
		Since: convert.Time(s.Since), Attempts: int32(s.Attempts), NextAttempt: convert.Time(s.NextAttempt),
	}
	if s.Channel != s.DeviceID {
		out.User = s.Channel
	}
	return out
}

// why says what a channel waits for, or what its device said.
func why(s adminapi.ArtifactState, now time.Time) string {
	switch {
	case s.Outcome == adminapi.ArtifactInstalled:
		return ""
	case s.Outcome == adminapi.ArtifactFailed && s.Message == "":
		return "the device refused it and did not say why"
	case s.Outcome == adminapi.ArtifactFailed:
		return "the device refused it: " + convert.Text(s.Message, maxMessage)
	case s.Channel == "":
		return "the device has no channel for it yet, such as that of a user who has signed in"
	case !s.Responding:
		return silence(s.LastSeen)
	}
	return waiting(s, now)
}

// waiting says what a device that calls is waited for.
func waiting(s adminapi.ArtifactState, now time.Time) string {
	next := ""
	if s.NextAttempt.After(now) {
		next = "; next attempt not before " + stamp(s.NextAttempt)
	}
	switch {
	case s.Outcome == adminapi.ArtifactNotNow:
		return "the device is busy or locked and put it off; it is offered again at a later call" + next
	case s.Outcome == adminapi.ArtifactSent:
		return "delivered, no answer yet" + next
	case s.Outcome == adminapi.ArtifactRemoving:
		return "is removed when the device calls" + next
	case s.Attempts > 0:
		return "delivered " + times(s.Attempts) + " without an answer" + next
	}
	return "waits for the device to call" + next
}

// attention says what a person should know of a device; most have nothing to be said.
func attention(d *adminapi.Device) string {
	switch {
	case d.State == adminapi.DeviceEnded && d.Blocked != nil:
		return blocked(d.Blocked)
	case d.State == adminapi.DeviceEnded:
		return fmt.Sprintf("its enrolment ended on %s: %s", stamp(d.EndedAt), d.EndReason)
	case d.State == adminapi.DevicePending:
		return "it has begun to enrol, and the server waits for its first call"
	case d.Blocked != nil:
		return blocked(d.Blocked)
	case d.Unenrolling:
		return "it is to leave management at its next call"
	case d.Ignored:
		return "it is ignored: its Device was deleted and the enrolment kept"
	case !d.Responding:
		return silence(d.LastSeen)
	case d.PushUnregistered:
		return "Apple says that it is not reachable by push any more; it is managed when it calls by itself"
	case d.AwaitingConfiguration:
		return "it waits in Setup Assistant until its Profiles are there"
	}
	return ""
}

func blocked(b *adminapi.BlockedEnrollment) string {
	return fmt.Sprintf("an attempt to enrol it anew was refused on %s: if it was rightful, release the old enrolment (kubectl mdm release)", stamp(b.Since))
}

func silence(lastSeen time.Time) string {
	if lastSeen.IsZero() {
		return "the device is not responding: it has never called"
	}
	return "the device is not responding since " + stamp(lastSeen)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// historyEntry is what happened to a device.
func historyEntry(e adminapi.HistoryEntry) livev1alpha1.HistoryEntry {
	out := livev1alpha1.HistoryEntry{
		Type: string(e.Type), Profile: convert.Name(e.Artifact), Command: convert.Name(e.Action),
		RequestType: e.RequestType, CommandUUID: e.CommandUUID, Message: convert.Text(e.Message, maxMessage),
	}
	if at := convert.Time(e.At); at != nil {
		out.Time = *at
	}
	if e.Channel != e.DeviceID {
		out.User = e.Channel
	}
	return out
}

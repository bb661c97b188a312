package device

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// maxNote bounds an event's note, in bytes: the API allows 1024.
const maxNote = 900

// news is an event that is about no condition.
type news struct{ eventType, reason, note string }

// hear takes over what a PC refused and what it lost, and notes what of it is new. The same refusal at another time is nothing new.
func (s *scope) hear(refused *mdmv1alpha1.DeviceError, drift *mdmv1alpha1.DeviceDrift) {
	status := &s.object.Status
	if refused != nil && !same(refused, status.LastError) {
		s.tell(corev1.EventTypeWarning, mdmv1alpha1.DeviceEventNodeRefused, "%s: %s", refused.LocURI, refused.Message)
	}
	if drift != nil && (status.LastDrift == nil || !drift.At.Equal(status.LastDrift.At)) {
		s.tell(corev1.EventTypeNormal, mdmv1alpha1.DeviceEventDriftRepaired, "the device had lost %s of the Profile %s and was given it back", drift.LocURI, drift.Profile)
	}
	status.LastError, status.LastDrift = refused, drift
}

func same(a, b *mdmv1alpha1.DeviceError) bool {
	return b != nil && a.Code == b.Code && a.Original == b.Original && a.LocURI == b.LocURI
}

// tell keeps an event until the status shows what it is about, so that it is told once.
func (s *scope) tell(eventType, reason, format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "") + "..."
	}
	s.news = append(s.news, news{eventType: eventType, reason: reason, note: note})
}

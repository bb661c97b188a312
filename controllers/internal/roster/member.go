package roster

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// Member is an enrolment that is managed through a Device.
type Member struct {
	// Device is the name of the Device.
	Device       string
	ID           string
	EnrollmentID string
	Platform     adminapi.Platform
	Labels       labels.Set
	// Assigned is what the server was told for this very enrolment, sorted; Told is false if that was nothing at all yet.
	Assigned []adminapi.Key
	Told     bool
}

// Devices lists the Devices of a server. They must not be changed.
func Devices(ctx context.Context, reader client.Reader, server types.NamespacedName) ([]mdmv1alpha1.Device, error) {
	devices := &mdmv1alpha1.DeviceList{}
	err := reader.List(ctx, devices, client.InNamespace(server.Namespace), client.MatchingFields{link.FieldServer: server.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the Devices of a server: %w", err)
	}
	return devices.Items, nil
}

// Members lists the enrolments of a server that are managed through the Devices, with their labels. A Device counts from the moment when its
// status shows the enrolment: then the labels of the enrolment's token are on it. A Device that is paused or being deleted does not count, so
// what its device has is left as it is.
func Members(s *link.Server, devices []mdmv1alpha1.Device) []Member {
	members := make([]Member, 0, len(devices))
	for i := range devices {
		if m, ok := member(s, &devices[i]); ok {
			members = append(members, m)
		}
	}
	return members
}

func member(s *link.Server, d *mdmv1alpha1.Device) (Member, bool) {
	if d.DeletionTimestamp != nil || selection.Paused(d) || d.Status.Enrollment == nil {
		return Member{}, false
	}
	device, found := Find(s, d)
	if !found || device.EnrollmentID != d.Status.Enrollment.ID || !Manageable(device) {
		return Member{}, false
	}
	m := Member{Device: d.Name, ID: device.ID, EnrollmentID: device.EnrollmentID, Platform: device.Platform, Labels: d.Labels}
	if told, ok := s.Assignment(device.ID); ok && told.EnrollmentID == device.EnrollmentID {
		m.Assigned, m.Told = told.Artifacts, true
	}
	return m, true
}

// Manageable says whether anything may be asked of a device.
func Manageable(d adminapi.Device) bool {
	return d.State == adminapi.DeviceEnrolled && !d.Ignored && !d.Unenrolling
}

// Has says whether the server was told that the device should have an artifact.
func (m *Member) Has(artifact adminapi.Key) bool {
	_, has := slices.BinarySearch(m.Assigned, artifact)
	return has
}

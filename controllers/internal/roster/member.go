package roster

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// Group is the enrolments that are alike: what is decided for one of them is decided for all.
type Group struct {
	Platform adminapi.Platform
	Labels   labels.Set
	// Assigned is what the server was told for these very enrolments, sorted; Told is false if that was nothing at all yet.
	Assigned []adminapi.Key
	Told     bool
	Members  []Member
}

// Member is an enrolment that is managed through a Device.
type Member struct {
	// Device is the name of the Device.
	Device       string
	ID           string
	EnrollmentID string
}

// likeness is what the members of a group have in common. Equal labels and assignments are shared by what is cached, so that their addresses tell
// them; where they are not, there are more groups than there need be.
type likeness struct {
	platform adminapi.Platform
	labels   uintptr
	assigned *adminapi.Key
	count    int
	told     bool
}

// Keeper is a reader that can hand out the Devices of a server, or all of them if it is nil, as it keeps them: lists of copies would take a fifth of the
// memory of a large fleet each time. ok is false if it cannot.
type Keeper interface {
	KeptDevices(server *types.NamespacedName) (devices []*mdmv1alpha1.Device, ok bool)
}

// Devices lists the Devices of a server. They must not be changed.
func Devices(ctx context.Context, reader client.Reader, server types.NamespacedName) ([]*mdmv1alpha1.Device, error) {
	if keeper, ok := reader.(Keeper); ok {
		if kept, ok := keeper.KeptDevices(&server); ok {
			return kept, nil
		}
	}
	list := &mdmv1alpha1.DeviceList{}
	err := reader.List(ctx, list, client.InNamespace(server.Namespace), client.MatchingFields{link.FieldServer: server.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the Devices of a server: %w", err)
	}
	devices := make([]*mdmv1alpha1.Device, len(list.Items))
	for i := range list.Items {
		devices[i] = &list.Items[i]
	}
	return devices, nil
}

// Groups lists the enrolments of a server that are managed through the Devices, with their labels. A Device counts from the moment when its status shows
// the enrolment, or was made for it: then the labels of the enrolment's token are on it. A Device that is paused or being deleted does not count, so what its
// device has is left as it is.
func Groups(s *link.Server, devices []*mdmv1alpha1.Device) []Group {
	var groups []Group
	of := map[likeness]int{}
	for _, d := range devices {
		device, counts := managed(s, d)
		if !counts {
			continue
		}
		g := Group{Platform: device.Platform, Labels: d.Labels}
		if told, ok := s.Assignment(device.ID); ok && told.EnrollmentID == device.EnrollmentID {
			g.Assigned, g.Told = told.Artifacts, true
		}
		key := likeness{g.Platform, reflect.ValueOf(d.Labels).Pointer(), unsafe.SliceData(g.Assigned), len(g.Assigned), g.Told}
		at, known := of[key]
		if !known {
			at = len(groups)
			of[key], groups = at, append(groups, g)
		}
		groups[at].Members = append(groups[at].Members, Member{Device: d.Name, ID: device.ID, EnrollmentID: device.EnrollmentID})
	}
	return groups
}

// managed is the device that counts as managed through a Device.
func managed(s *link.Server, d *mdmv1alpha1.Device) (adminapi.Device, bool) {
	if d.DeletionTimestamp != nil || selection.Paused(d) {
		return adminapi.Device{}, false
	}
	device, found := Find(s, d)
	if !found || !Manageable(device) {
		return adminapi.Device{}, false
	}
	if e := d.Status.Enrollment; e != nil {
		return device, device.EnrollmentID == e.ID
	}
	return device, BornFor(d, device)
}

// BornFor says whether a Device was made for the enrolment that its device is in, labels and all, and nobody has looked at it since.
func BornFor(d *mdmv1alpha1.Device, device adminapi.Device) bool {
	if !Discovered(d) || d.Spec.Listing != nil || len(d.Status.Conditions) > 0 {
		return false
	}
	for key, value := range TokenLabels(device) {
		if d.Labels[key] != value {
			return false
		}
	}
	return true
}

// Manageable says whether anything may be asked of a device.
func Manageable(d adminapi.Device) bool {
	return d.State == adminapi.DeviceEnrolled && !d.Ignored && !d.Unenrolling
}

// Has says whether the server was told that the devices should have an artifact.
func (g *Group) Has(artifact adminapi.Key) bool {
	_, has := slices.BinarySearch(g.Assigned, artifact)
	return has
}

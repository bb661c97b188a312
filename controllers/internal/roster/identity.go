package roster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// FieldIdentity is the name of the field index by which Devices are found that claim an identity (see controllers/setup).
const FieldIdentity = "identity"

// IndexIdentities are the values of FieldIdentity of a Device: a hash of each identity that it claims. Identities share the values, for an index keeps a map
// for each, which would be a third of what a Device costs; whoever finds Devices by them compares the identities themselves.
func IndexIdentities(o client.Object) []string {
	var values []string
	for _, identity := range claims(o.(*mdmv1alpha1.Device)) {
		if v := hashed(identity); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// hashed is one of 16384 values.
func hashed(identity string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(identity)) // never fails
	return strconv.FormatUint(uint64(h.Sum32()>>18), 16)
}

// claims are the identities of a Device: what its spec claims, and the UDID that its device gave.
func claims(d *mdmv1alpha1.Device) []string {
	udids := []string{d.Spec.UDID}
	if h := d.Status.Hardware; h != nil && h.UDID != d.Spec.UDID {
		udids = append(udids, h.UDID)
	}
	return identities(d.Spec.ServerRef.Name, d.Spec.SerialNumber, d.Spec.EnrollmentID, udids...)
}

func identities(server, serial, enrollment string, udids ...string) []string {
	var values []string
	add := func(kind, value string) {
		if v := strings.Join([]string{server, kind, value}, "/"); value != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	add("serial", serial)
	for _, udid := range udids {
		add("udid", udid)
	}
	add("enrollment", enrollment)
	return values
}

// Find returns the device of a server that a Device claims: by serial number, then by UDID, then by the EnrollmentID of a User Enrollment. A
// device that contradicts a claim that decides earlier is another one.
func Find(s *link.Server, d *mdmv1alpha1.Device) (adminapi.Device, bool) {
	if serial := d.Spec.SerialNumber; serial != "" {
		if found, ok := s.DeviceBySerial(serial); ok {
			return found, true
		}
	}
	for _, id := range []string{d.Spec.UDID, d.Spec.EnrollmentID} {
		found, ok := s.Device(id)
		if ok && agrees(d.Spec.SerialNumber, found.SerialNumber) && agrees(d.Spec.UDID, found.UDID) {
			return found, true
		}
	}
	return adminapi.Device{}, false
}

func agrees(claim, fact string) bool { return claim == "" || fact == "" || claim == fact }

// Rivals lists the other Devices that claim to be the same device as d, those being deleted included. device is what the server knows of it, or
// nil. The Devices must not be changed.
func Rivals(ctx context.Context, reader client.Reader, d *mdmv1alpha1.Device, device *adminapi.Device) ([]*mdmv1alpha1.Device, error) {
	values, serial := claims(d), d.Spec.SerialNumber
	if device != nil {
		values, serial = append(values, identitiesOf(d.Spec.ServerRef.Name, *device)...), device.SerialNumber
	}
	claimants, err := claiming(ctx, reader, d.Namespace, values, serial)
	return slices.DeleteFunc(claimants, func(other *mdmv1alpha1.Device) bool { return other.Name == d.Name }), err
}

// Claimants lists the Devices that claim to be the device of a server with an id, those being deleted included: the one that speaks for it comes
// first. The Devices must not be changed.
func Claimants(ctx context.Context, reader client.Reader, server types.NamespacedName, s *link.Server, id string) ([]*mdmv1alpha1.Device, error) {
	device, known := s.Device(id)
	if !known {
		device.ID = id
	}
	claimants, err := claiming(ctx, reader, server.Namespace, identitiesOf(server.Name, device), device.SerialNumber)
	slices.SortFunc(claimants, Compare)
	return claimants, err
}

// Named returns the Device that speaks for the device of a server with an id, for who has no connection to the server; nil if there is none. A Device of
// which the id is not known yet is not found. It must not be changed.
func Named(ctx context.Context, reader client.Reader, server types.NamespacedName, id string) (*mdmv1alpha1.Device, error) {
	claimants, err := claiming(ctx, reader, server.Namespace, identities(server.Name, "", id, id), "")
	if err != nil || len(claimants) == 0 {
		return nil, err
	}
	return slices.MinFunc(claimants, Compare), nil
}

// Compare orders Devices that claim one identity; the first one speaks for the device. A Device that is being deleted comes last, a declared one
// before a discovered one, an older one before a younger.
func Compare(a, b *mdmv1alpha1.Device) int {
	return cmp.Or(
		falseFirst(a.DeletionTimestamp != nil, b.DeletionTimestamp != nil),
		falseFirst(Discovered(a), Discovered(b)),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name),
	)
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Discovered says whether a Device was made by the operator and taken over by nobody since.
func Discovered(d *mdmv1alpha1.Device) bool { return d.Labels[mdmv1alpha1.LabelDiscovered] == "true" }

// DiscoveredName names a Device that the operator makes, for ever: it has the same name after another enrolment or in a restored cluster. id is its
// serial number, or what stands in for it. The name does not tell it, since names of objects stand in logs and events.
func DiscoveredName(server string, platform adminapi.Platform, id string) string {
	sum := sha256.Sum256([]byte(server + "/" + string(platform) + "/" + id))
	return strings.ToLower(string(platform)) + "-" + hex.EncodeToString(sum[:])[:10]
}

func identitiesOf(server string, d adminapi.Device) []string {
	return identities(server, d.SerialNumber, d.ID, d.ID, d.UDID)
}

// claiming lists the Devices that claim one of the identities, but for those that claim another serial number.
func claiming(ctx context.Context, reader client.Reader, namespace string, values []string, serial string) ([]*mdmv1alpha1.Device, error) {
	var claimants []*mdmv1alpha1.Device
	seen := map[string]bool{}
	for _, value := range values {
		found := &mdmv1alpha1.DeviceList{}
		err := reader.List(ctx, found, client.InNamespace(namespace), client.MatchingFields{FieldIdentity: hashed(value)}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return nil, fmt.Errorf("listing the Devices of an identity: %w", err)
		}
		for i := range found.Items {
			if d := &found.Items[i]; !seen[d.Name] && agrees(d.Spec.SerialNumber, serial) && slices.Contains(claims(d), value) {
				seen[d.Name] = true
				claimants = append(claimants, d)
			}
		}
	}
	return claimants, nil
}

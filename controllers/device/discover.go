package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// births is how many Devices a pass makes at most: what follows from them is not to wait for all.
	births = 500
	// midwives is how many are made at a time.
	midwives = 8
)

// discover makes a Device for every enrolment that is managed and that no Device claims. A row that needs none is acked here, since no Device will.
// more says that there are others to make.
func (r *Roster) discover(ctx context.Context, name types.NamespacedName, s *link.Server, groups []roster.Group) (more bool, err error) {
	claimed := map[string]bool{}
	for i := range groups {
		for _, m := range groups[i].Members {
			claimed[m.ID] = true
		}
	}
	var found []adminapi.Device
	for d := range s.Devices() {
		if claimed[d.ID] {
			continue
		}
		claimants, err := roster.Claimants(ctx, r.Client, name, s, d.ID)
		switch {
		case err != nil:
			return false, err
		case speaks(s, claimants, d.ID):
		case !roster.Manageable(d):
			s.Done(adminapi.KindDevice, d.ID, s.Pending(adminapi.KindDevice, d.ID))
		case len(found) == births: // the next pass makes this one
			return true, r.createAll(ctx, name, found)
		default:
			found = append(found, d)
		}
	}
	return false, r.createAll(ctx, name, found)
}

// speaks says whether one of the Devices that claim a device is found to be its own.
func speaks(s *link.Server, claimants []*mdmv1alpha1.Device, id string) bool {
	return slices.ContainsFunc(claimants, func(d *mdmv1alpha1.Device) bool {
		found, ok := roster.Find(s, d)
		return ok && found.ID == id
	})
}

func (r *Roster) createAll(ctx context.Context, server types.NamespacedName, devices []adminapi.Device) error {
	errs := make([]error, len(devices))
	var all sync.WaitGroup
	for first := range min(midwives, len(devices)) {
		all.Go(func() {
			for i := first; i < len(devices); i += midwives {
				errs[i] = r.create(ctx, server, devices[i])
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// create makes a Device with the labels of its token, as their field manager: then the status is all that is left to write.
func (r *Roster) create(ctx context.Context, server types.NamespacedName, d adminapi.Device) error {
	device := discovered(server, d)
	err := r.Client.Create(ctx, device, client.FieldOwner(labelManager))
	if apierrors.IsInvalid(err) && device.Spec.SerialNumber != "" {
		// Some virtual machines have serial numbers that are none; what else the device says of itself identifies it too.
		device.Spec.SerialNumber = ""
		err = r.Client.Create(ctx, device, client.FieldOwner(labelManager))
	}
	switch {
	case err == nil || apierrors.IsAlreadyExists(err): // made a moment ago: the cache is about to hear of it
		return nil
	case apierrors.IsInvalid(err): // the message quotes what the device says of itself
		return errors.New("the API server refuses a Device for what a device that enrolled says of itself")
	}
	return fmt.Errorf("making a Device for a device that enrolled: %w", err)
}

func discovered(server types.NamespacedName, d adminapi.Device) *mdmv1alpha1.Device {
	labels := roster.TokenLabels(d)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[mdmv1alpha1.LabelDiscovered] = "true"
	id := d.ID
	if d.SerialNumber != "" {
		id = d.SerialNumber
	}
	device := &mdmv1alpha1.Device{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: server.Namespace, Name: roster.DiscoveredName(server.Name, d.Platform, id),
			Labels: labels, Finalizers: []string{mdmv1alpha1.Finalizer},
		},
		Spec: mdmv1alpha1.DeviceSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: server.Name}, SerialNumber: d.SerialNumber, UDID: d.UDID,
			DeletionPolicy: mdmv1alpha1.DeviceRetain,
		},
	}
	if d.Kind == adminapi.EnrollmentUser {
		device.Spec.EnrollmentID = d.ID
	}
	return device
}

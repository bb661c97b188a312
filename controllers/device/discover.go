package device

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// discover makes a Device for every enrolment that is managed and that no Device claims. A row that needs none is acked here, since no Device will.
func (r *Roster) discover(ctx context.Context, name types.NamespacedName, s *link.Server, devices []mdmv1alpha1.Device) error {
	claimed := map[string]bool{}
	for i := range devices {
		if d, found := roster.Find(s, &devices[i]); found {
			claimed[d.ID] = true
		}
	}
	var errs []error
	for d := range s.Devices() {
		switch {
		case claimed[d.ID]:
		case roster.Manageable(d):
			errs = append(errs, r.create(ctx, name, d))
		default:
			s.Done(adminapi.KindDevice, d.ID, s.Pending(adminapi.KindDevice, d.ID))
		}
	}
	return errors.Join(errs...)
}

func (r *Roster) create(ctx context.Context, server types.NamespacedName, d adminapi.Device) error {
	device := discovered(server, d)
	err := r.Client.Create(ctx, device)
	if apierrors.IsInvalid(err) && device.Spec.SerialNumber != "" {
		// Some virtual machines have serial numbers that are none; what else the device says of itself identifies it too.
		device.Spec.SerialNumber = ""
		err = r.Client.Create(ctx, device)
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
	id := d.ID
	if d.SerialNumber != "" {
		id = d.SerialNumber
	}
	device := &mdmv1alpha1.Device{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: server.Namespace, Name: roster.DiscoveredName(server.Name, d.Platform, id),
			Labels: map[string]string{mdmv1alpha1.LabelDiscovered: "true"}, Finalizers: []string{mdmv1alpha1.Finalizer},
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

package device

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

// match finds the device at the server and settles who speaks for it: one enrolment has one Device.
func (r *Reconciler) match(ctx context.Context, s *scope, report *loop.Report) error {
	var err error
	if s.server, err = r.Links.Await(ctx, r.Client, s.object, s.object.Spec.ServerRef.Name, mdmv1alpha1.DeviceMatched, report); err != nil {
		return err
	}
	s.find()
	rivals, err := roster.Rivals(ctx, r.Client, s.object, s.device)
	if err != nil {
		return err
	}
	for _, rival := range rivals {
		if roster.Compare(rival, s.object) < 0 {
			return s.yield(rival)
		}
	}
	if err := r.supersede(ctx, s.object, rivals); err != nil {
		return err
	}
	if s.device == nil {
		report.True(mdmv1alpha1.DeviceAwaitingEnrollment, "no device that the server knows has this identity")
	}
	return nil
}

// yield gives up the device to the one who speaks for it.
func (s *scope) yield(speaker *mdmv1alpha1.Device) error {
	s.device = nil
	s.object.Status = mdmv1alpha1.DeviceStatus{CommonStatus: s.object.Status.CommonStatus}
	return loop.Stall(mdmv1alpha1.DeviceDuplicateIdentity, "Device %s claims the same device and was first: delete one of the two", speaker.Name)
}

// supersede deletes the Device that was discovered before this one was declared. The device is not touched: its finalizer finds a new speaker.
func (r *Reconciler) supersede(ctx context.Context, d *mdmv1alpha1.Device, rivals []*mdmv1alpha1.Device) error {
	if roster.Discovered(d) {
		return nil
	}
	for _, rival := range rivals {
		if !roster.Discovered(rival) || rival.DeletionTimestamp != nil {
			continue
		}
		err := r.Client.Delete(ctx, rival.DeepCopy(), client.Preconditions{UID: &rival.UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the Device that was discovered: %w", err)
		}
	}
	return nil
}

package look

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// Serial is the serial number of a Device as it told it, or as it was declared.
func Serial(d *mdmv1alpha1.Device) string {
	if d.Status.Hardware != nil && d.Status.Hardware.SerialNumber != "" {
		return d.Status.Hardware.SerialNumber
	}
	return d.Spec.SerialNumber
}

// Device finds a Device of the namespace by its name, or else by its serial number.
func Device(ctx context.Context, e *cli.Env, s *cli.Session, name string) (*mdmv1alpha1.Device, error) {
	d := &mdmv1alpha1.Device{}
	err := Get(ctx, s, strings.ToLower(name), d)
	if err == nil || !apierrors.IsNotFound(err) || cli.KindUnknown(err) {
		return d, err
	}
	list := &mdmv1alpha1.DeviceList{}
	if err := All(ctx, e, s, list, "devices", client.InNamespace(s.Namespace)); err != nil {
		return nil, fmt.Errorf("no Device is called %s %s, and looking for a serial number failed: %w", name, Where(s.Namespace), err)
	}
	var found []string
	for i := range list.Items {
		if strings.EqualFold(Serial(&list.Items[i]), name) {
			d = &list.Items[i]
			found = append(found, d.Name)
		}
	}
	switch len(found) {
	case 1:
		return d, nil
	case 0:
		return nil, fmt.Errorf("no Device %s has the name or serial number %s: kubectl mdm devices -A lists all", Where(s.Namespace), name)
	}
	return nil, fmt.Errorf("several Devices %s have the serial number %s, so name one: %s", Where(s.Namespace), name, strings.Join(found, ", "))
}

// Get reads an object of the namespace.
func Get(ctx context.Context, s *cli.Session, name string, o client.Object) error {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	return s.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, o)
}

// Enrolment is where a Device is in its enrolment, in one word.
func Enrolment(d *mdmv1alpha1.Device) string {
	if d.Status.Enrollment == nil {
		return "Awaited"
	}
	return cmp.Or(string(d.Status.Enrollment.State), "Awaited")
}

// Silent says whether an enrolled Device was not heard of for too long.
func Silent(d *mdmv1alpha1.Device) bool {
	return Enrolment(d) == string(mdmv1alpha1.EnrollmentEnrolled) && meta.IsStatusConditionFalse(d.Status.Conditions, mdmv1alpha1.DeviceResponding)
}

// Failing says whether a Device refuses a Profile.
func Failing(d *mdmv1alpha1.Device) bool {
	return meta.IsStatusConditionFalse(d.Status.Conditions, mdmv1alpha1.DeviceProfilesApplied)
}

// System is the operating system of a Device, as far as it is known.
func System(d *mdmv1alpha1.Device) string {
	if d.Status.OS == nil {
		return ""
	}
	return strings.TrimSpace(OSName(d) + " " + d.Status.OS.Version)
}

// families are operating systems by what Apple's codes of a model begin with.
var families = []struct{ code, os string }{
	{"Mac", "macOS"}, {"iMac", "macOS"}, {"VirtualMac", "macOS"},
	{"iPhone", "iOS"}, {"iPod", "iOS"}, {"iPad", "iPadOS"}, {"AppleTV", "tvOS"}, {"Watch", "watchOS"}, {"RealityDevice", "visionOS"},
}

// OSName is the name of the operating system of a Device; empty: its hardware does not tell.
func OSName(d *mdmv1alpha1.Device) string {
	if d.Status.Platform == mdmv1alpha1.PlatformWindows {
		return "Windows"
	}
	if d.Status.Hardware == nil {
		return ""
	}
	for _, known := range []string{d.Status.Hardware.ProductName, d.Status.Hardware.ModelName} {
		for _, f := range families {
			if strings.HasPrefix(strings.ReplaceAll(known, " ", ""), f.code) {
				return f.os
			}
		}
	}
	return ""
}

package status

import (
	"cmp"
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// Read gathers what the screen shows. The kinds come in the order in which a fault of one explains those of others.
func Read(ctx context.Context, r *look.Reader, now time.Time) (*Status, error) {
	status := &Status{Time: now.UTC(), Namespace: string(r.In), Servers: []Server{}, Certificates: []Certificate{}, Needs: []look.Need{}}
	for _, kind := range []func(context.Context, *look.Reader, *Status) error{
		servers, pushCertificates, automatedEnrollments, tokens, profiles, devices, commands,
	} {
		if err := kind(ctx, r, status); err != nil {
			return nil, err
		}
	}
	if err := r.Refused(); err != nil {
		return nil, err
	}
	status.Missing = r.Missing
	slices.SortStableFunc(status.Certificates, func(a, b Certificate) int { return a.NotAfter.Compare(b.NotAfter.Time) })
	return status, nil
}

// need adds what objects of a kind need a person for, by namespace and name.
func need[T any, P interface {
	*T
	mdmv1alpha1.Object
}](status *Status, kind string, items []T) {
	slices.SortFunc(items, func(a, b T) int {
		return cmp.Or(cmp.Compare(P(&a).GetNamespace(), P(&b).GetNamespace()), cmp.Compare(P(&a).GetName(), P(&b).GetName()))
	})
	for i := range items {
		status.Needs = append(status.Needs, look.Needs(kind, P(&items[i]), status.Time)...)
	}
}

func servers(ctx context.Context, r *look.Reader, status *Status) error {
	list := &mdmv1alpha1.MDMServerList{}
	if err := r.List(ctx, list, "mdmservers"); err != nil {
		return err
	}
	need(status, "MDMServer", list.Items)
	for i := range list.Items {
		s := &list.Items[i]
		server := Server{
			Namespace: s.Namespace, Name: s.Name, Ready: string(metav1.ConditionUnknown), Version: s.Status.Version, Host: s.Spec.Host,
			Enrolled: value(s.Status.Enrolled), Responding: value(s.Status.Responding), Behind: value(s.Status.Behind),
		}
		if ready := meta.FindStatusCondition(s.Status.Conditions, mdmv1alpha1.ConditionReady); ready != nil {
			server.Ready, server.Reason = string(ready.Status), ready.Reason
		}
		if trust := meta.FindStatusCondition(s.Status.Conditions, mdmv1alpha1.MDMServerPubliclyTrusted); trust != nil && trust.Status != metav1.ConditionUnknown {
			server.Trust = trust.Reason
		}
		status.Servers = append(status.Servers, server)
		status.serverCertificates(s)
	}
	return nil
}

func pushCertificates(ctx context.Context, r *look.Reader, status *Status) error {
	list := &mdmv1alpha1.APNSCertificateList{}
	if err := r.List(ctx, list, "apnscertificates"); err != nil {
		return err
	}
	need(status, "APNSCertificate", list.Items)
	for i := range list.Items {
		if c := &list.Items[i]; c.Status.NotAfter != nil {
			status.certificate(Certificate{Kind: "APNSCertificate", Namespace: c.Namespace, Name: c.Name, What: "Push", NotAfter: *c.Status.NotAfter})
		}
	}
	return nil
}

func automatedEnrollments(ctx context.Context, r *look.Reader, status *Status) error {
	list := &mdmv1alpha1.AutomatedEnrollmentList{}
	if err := r.List(ctx, list, "automatedenrollments"); err != nil {
		return err
	}
	need(status, "AutomatedEnrollment", list.Items)
	for i := range list.Items {
		if a := &list.Items[i]; a.Status.TokenNotAfter != nil {
			status.certificate(Certificate{Kind: "AutomatedEnrollment", Namespace: a.Namespace, Name: a.Name, What: "Token", NotAfter: *a.Status.TokenNotAfter})
		}
	}
	return nil
}

func tokens(ctx context.Context, r *look.Reader, status *Status) error {
	list := &mdmv1alpha1.EnrollmentTokenList{}
	if err := r.List(ctx, list, "enrollmenttokens"); err != nil {
		return err
	}
	need(status, "EnrollmentToken", list.Items)
	return nil
}

func profiles(ctx context.Context, r *look.Reader, status *Status) error {
	list := &mdmv1alpha1.ProfileList{}
	if err := r.List(ctx, list, "profiles"); err != nil {
		return err
	}
	need(status, "Profile", list.Items)
	count := &status.Fleet.Profiles
	for i := range list.Items {
		count.Total++
		switch s := &list.Items[i].Status; {
		case value(s.Failed) > 0:
			count.Failing++
		case value(s.Pending) > 0 || value(s.Removing) > 0:
			count.Behind++
		case meta.IsStatusConditionTrue(s.Conditions, mdmv1alpha1.ProfilePublished):
			count.Converged++
		default:
			count.NotPublished++
		}
	}
	return nil
}

func devices(ctx context.Context, r *look.Reader, status *Status) error {
	list := &mdmv1alpha1.DeviceList{}
	if err := r.List(ctx, list, "devices"); err != nil {
		return err
	}
	need(status, "Device", list.Items)
	status.Fleet.Devices = []Devices{}
	for _, platform := range []mdmv1alpha1.Platform{mdmv1alpha1.PlatformApple, mdmv1alpha1.PlatformWindows, ""} {
		count := Devices{Platform: cmp.Or(string(platform), "Unknown")}
		for i := range list.Items {
			if list.Items[i].Status.Platform == platform {
				count.add(&list.Items[i])
			}
		}
		if count.Total > 0 {
			status.Fleet.Devices = append(status.Fleet.Devices, count)
		}
	}
	return nil
}

func (c *Devices) add(d *mdmv1alpha1.Device) {
	c.Total++
	switch mdmv1alpha1.EnrollmentState(look.Enrolment(d)) {
	case mdmv1alpha1.EnrollmentEnrolled:
		c.Enrolled++
		if look.Silent(d) {
			c.Silent++
		}
		if look.Failing(d) {
			c.Failing++
		}
	case mdmv1alpha1.EnrollmentPending:
		c.Pending++
	case mdmv1alpha1.EnrollmentEnded:
		c.Ended++
	default:
		c.Awaited++
	}
}

func commands(ctx context.Context, r *look.Reader, status *Status) error {
	list := &mdmv1alpha1.DeviceCommandList{}
	if err := r.List(ctx, list, "devicecommands"); err != nil {
		return err
	}
	need(status, "DeviceCommand", list.Items)
	count := &status.Fleet.Commands
	for i := range list.Items {
		count.Total++
		switch s := &list.Items[i].Status; {
		case meta.IsStatusConditionTrue(s.Conditions, mdmv1alpha1.DeviceCommandFailed), meta.IsStatusConditionTrue(s.Conditions, mdmv1alpha1.ConditionStalled):
			count.Failed++
		case s.FinishedAt != nil:
			count.Succeeded++
		default:
			count.Running++
		}
	}
	return nil
}

// value is what a counter points at.
func value(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

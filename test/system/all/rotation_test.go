package all

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// TestRotationOfTheWSTEPCA replaces the CA behind the certificates of PCs while they are managed. The year until the last certificate of the old CA has
// expired goes by at once: the Secret in which the operator remembers since when that CA issues no more is dated back.
func TestRotationOfTheWSTEPCA(t *testing.T) {
	r := &rotation{Walk: harness.Start(t, "kubemdm-rotation")}
	harness.Take(t, r.ToServer()...)
	harness.Take(t,
		harness.Step{Title: "PCs are enrolled under the first CA", Do: r.enrol},
		harness.Step{Title: "another CA is asked for, and issues once the server trusts it", Do: r.rotate},
		harness.Step{Title: "every PC is served by the certificate that it has", Do: r.sessions},
		harness.Step{Title: "every PC renews onto the new CA", Do: r.renew},
		harness.Step{Title: "every PC is served by its new certificate", Do: r.sessions},
		harness.Step{Title: "a year later the old CA is gone", Do: r.retire},
		harness.Step{Title: "every PC is served still, and never enrolled anew", Do: r.same},
	)
}

// rotation is what one step hands to the next.
type rotation struct {
	*harness.Walk
	pcs         []*windows.PC
	enrollments map[string]string // serial number to enrolment id
}

func (r *rotation) patch(ctx context.Context, patch string) error {
	server := &mdmv1alpha1.MDMServer{ObjectMeta: r.server().ObjectMeta}
	if err := r.Patch(ctx, server, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return err
	}
	return r.Wait(ctx, "the server", r.Satisfied(server, mdmv1alpha1.ConditionReady))
}

func (r *rotation) server() *mdmv1alpha1.MDMServer {
	return &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: harness.ServerName}}
}

func (r *rotation) enrol(ctx context.Context) (err error) {
	if r.pcs, err = r.EnrolPCs(ctx, "rotation", 3); err != nil {
		return err
	}
	if err := r.sessions(ctx); err != nil {
		return err
	}
	r.enrollments, err = r.enrolled(ctx)
	return err
}

// enrolled waits for the Devices and returns their enrolments.
func (r *rotation) enrolled(ctx context.Context) (map[string]string, error) {
	enrollments := map[string]string{}
	err := r.Wait(ctx, "the Devices", func(ctx context.Context) (bool, string, error) {
		devices := &mdmv1alpha1.DeviceList{}
		if err := r.List(ctx, devices, client.InNamespace(r.Namespace)); err != nil {
			return false, "", err
		}
		for i := range devices.Items {
			if done, missing, err := r.Satisfied(&devices.Items[i], mdmv1alpha1.ConditionReady, mdmv1alpha1.DeviceEnrolled)(ctx); !done {
				return false, missing, err
			}
			enrollments[devices.Items[i].Status.Hardware.SerialNumber] = devices.Items[i].Status.Enrollment.ID
		}
		return len(enrollments) == len(r.pcs), fmt.Sprintf("%d Devices", len(enrollments)), nil
	})
	return enrollments, err
}

func (r *rotation) sessions(ctx context.Context) error {
	var errs []error
	for _, pc := range r.pcs {
		_, err := pc.Session(ctx, windows.SessionOptions{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (r *rotation) rotate(ctx context.Context) error {
	if err := r.patch(ctx, fmt.Sprintf(`{"metadata": {"annotations": {%q: "now"}}}`, mdmv1alpha1.AnnotationRotateWSTEPCA)); err != nil {
		return err
	}
	return r.Wait(ctx, "the new CA to issue", r.roles(mdmv1alpha1.CARoleRetired, mdmv1alpha1.CARoleActive))
}

// roles is a Check: the generations of the CA have these roles, the first of generation 1. An empty role is a generation that is gone.
func (r *rotation) roles(want ...mdmv1alpha1.CARole) harness.Check {
	return func(ctx context.Context) (bool, string, error) {
		server := r.server()
		if err := r.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil {
			return false, "", err
		}
		have := make([]mdmv1alpha1.CARole, len(want))
		for _, c := range server.Status.Certificates {
			var n int
			if _, err := fmt.Sscanf(c.Name, "WSTEPCA-%d", &n); err == nil && n <= len(have) {
				have[n-1] = c.Role
			}
		}
		return slices.Equal(have, want), fmt.Sprint(have), nil
	}
}

// renew has every PC renew. Until the pod has the Secret that lets the new CA issue, it is told that this is too early, and tries again.
func (r *rotation) renew(ctx context.Context) error {
	for _, pc := range r.pcs {
		old := pc.Identity().Certificate.Issuer.CommonName
		if err := r.Wait(ctx, "a renewal", func(ctx context.Context) (bool, string, error) {
			err := pc.Renew(ctx)
			return err == nil, "", err
		}); err != nil {
			return err
		}
		if issuer := pc.Identity().Certificate.Issuer.CommonName; issuer == old || !strings.HasSuffix(issuer, " 2") {
			return fmt.Errorf("a certificate was renewed by %q after %q", issuer, old)
		}
	}
	return nil
}

// retire dates the end of the first CA back, and waits until the server does without it.
func (r *rotation) retire(ctx context.Context) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: harness.ServerName + "-wstep"}}
	longAgo := time.Now().AddDate(-2, 0, 0).UTC().Format(time.RFC3339)
	patch := fmt.Sprintf(`{"metadata": {"annotations": {"mdm.kubemdm.io/retired-1": %q}}}`, longAgo)
	if err := r.Patch(ctx, secret, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return err
	}
	now := time.Now().Format(time.RFC3339Nano)
	if err := r.patch(ctx, fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, mdmv1alpha1.AnnotationRequestedAt, now)); err != nil {
		return err
	}
	return r.Wait(ctx, "the old CA to go", r.roles("", mdmv1alpha1.CARoleActive))
}

func (r *rotation) same(ctx context.Context) error {
	now, err := r.enrolled(ctx)
	if err != nil {
		return err
	}
	for serial, id := range r.enrollments {
		if now[serial] != id {
			return fmt.Errorf("a PC has enrolled anew: %s after %s", now[serial], id)
		}
	}
	return r.sessions(ctx)
}

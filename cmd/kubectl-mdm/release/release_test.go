package release_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doingtest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/release"
)

func world(t *testing.T) *doingtest.World {
	never := looktest.Device("never", "S3", mdmv1alpha1.PlatformApple)
	never.Status.Enrollment = nil
	w := doingtest.New(t, looktest.Device("ana", "S1", mdmv1alpha1.PlatformApple), never)
	w.Operator = func(o client.Object) {
		d := o.(*mdmv1alpha1.Device)
		if d.Annotations[mdmv1alpha1.AnnotationRelease] == d.Status.Enrollment.ID {
			d.Status.Enrollment.State, d.Status.Enrollment.EndReason = mdmv1alpha1.EnrollmentEnded, "Released"
		}
	}
	return w
}

// released is the annotation of a Device.
func released(t *testing.T, w *doingtest.World, name string) string {
	t.Helper()
	d := &mdmv1alpha1.Device{}
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: looktest.Namespace, Name: name}, d); err != nil {
		t.Fatal(err)
	}
	return d.Annotations[mdmv1alpha1.AnnotationRelease]
}

func TestRelease(t *testing.T) {
	w := world(t)
	w.In = "y\n"
	w.WantError(w.Run(release.Command, "S1"))
	w.WantNotes("This ends the enrolment 7f0c1c0e of ana (serial number S1, Enrolled since 2026-05-22", "it keeps its profiles and is managed no more", "Go on? [y/N]")
	w.WantOutput("ana is released: any token lets it enrol\n")
	if got := released(t, w, "ana"); got != "7f0c1c0e" {
		t.Errorf("the annotation is %q", got)
	}
	w.WantError(w.Run(release.Command, "ana"), "ana has no live enrolment", "kubectl mdm enroll --device ana")
}

func TestReleaseThatIsNotAgreedTo(t *testing.T) {
	w := world(t)
	w.In = "no\n"
	w.WantError(w.Run(release.Command, "ana"), "not confirmed: nothing was done")
	w.WantError(w.Run(release.Command, "never"), "never has no live enrolment")
	w.WantError(w.Run(release.Command, "nobody"), "has the name or serial number nobody")
	if got := released(t, w, "ana"); got != "" {
		t.Errorf("the annotation is %q", got)
	}
}

func TestReleaseWithoutQuestionOrPatience(t *testing.T) {
	w := world(t)
	w.WantError(w.Run(release.Command, "ana", "--yes", "--wait=false"))
	w.WantOutput("ana will be released\n")
	w = world(t)
	w.Operator = nil
	w.WantError(w.Run(release.Command, "ana", "-y", "--timeout", "50ms"), "not done after 50ms: the enrolment ends at the server")
	w = world(t)
	w.Fail = doingtest.Forbid("patch", "Device")
	w.WantError(w.Run(release.Command, "ana", "-y"), "the cluster does not let you do this", "setting the annotation of ana")
}

// Package liveimport turns an EnrollmentImport of the live view into a call of a server's internal API, and its answer back.
package liveimport

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Batch is what the server is asked.
func Batch(in *livev1alpha1.EnrollmentImport) adminapi.ImportBatch {
	batch := adminapi.ImportBatch{Import: in.Import, DryRun: in.DryRun}
	for i := range in.Enrollments {
		batch.Enrollments = append(batch.Enrollments, enrollment(&in.Enrollments[i]))
	}
	return batch
}

// Results are what the server answered.
func Results(reply *adminapi.ImportReply) []livev1alpha1.ImportResult {
	var out []livev1alpha1.ImportResult
	for _, r := range reply.Results {
		out = append(out, livev1alpha1.ImportResult{DeviceID: r.DeviceID, Outcome: string(r.Outcome), Message: r.Message})
	}
	return out
}

func enrollment(in *livev1alpha1.ImportedEnrollment) adminapi.ImportedEnrollment {
	out := adminapi.ImportedEnrollment{
		Device: adminapi.Device{
			ID: in.DeviceID, Platform: adminapi.PlatformApple, Kind: adminapi.EnrollmentKind(in.Kind), UDID: in.UDID, SerialNumber: in.SerialNumber,
			Model: in.Model, ModelName: in.ModelName, ProductName: in.ProductName, OSVersion: in.OSVersion, BuildVersion: in.BuildVersion, DeviceName: in.DeviceName,
			EnrolledAt: goTime(in.EnrolledAt), LastSeen: goTime(in.LastSeen),
		},
		PayloadIdentifier: in.PayloadIdentifier, ServerURL: in.ServerURL, CheckInURL: in.CheckInURL, Topic: in.Topic, AccessRights: int(in.AccessRights),
		Certificate: in.Certificate, CertificateSHA256: in.CertificateSHA256, BootstrapToken: in.BootstrapToken, UnlockToken: in.UnlockToken,
	}
	for _, c := range in.Channels {
		out.Channels = append(out.Channels, adminapi.ImportedChannel{ID: c.ID, PushToken: c.PushToken, PushMagic: c.PushMagic, TokenAt: goTime(c.TokenAt)})
	}
	return out
}

func goTime(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

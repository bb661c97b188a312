package admin

import (
	"net/http"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// maxImportedToken bounds a certificate or token of an imported enrolment, in bytes.
	maxImportedToken = 64 << 10
	// maxImportedChannels bounds the users of an imported device.
	maxImportedChannels = 1000
)

// checkImport keeps what is stored within bounds. Whether an enrolment can be taken over is said for each in the answer.
func checkImport(_ *http.Request, b adminapi.ImportBatch) error {
	return first(
		short("import", b.Import, maxID),
		atMost("enrollments", len(b.Enrollments), adminapi.MaxImport),
		each(b.Enrollments, checkImported),
	)
}

func checkImported(e adminapi.ImportedEnrollment) error {
	d := e.Device
	for _, text := range []string{
		d.ID, d.UDID, d.SerialNumber, d.Model, d.ModelName, d.ProductName, d.OSVersion, d.BuildVersion, d.DeviceName,
		e.PayloadIdentifier, e.ServerURL, e.CheckInURL, e.Topic, e.CertificateSHA256,
	} {
		if err := atMost("a text of an enrolment", len(text), maxText); err != nil {
			return err
		}
	}
	return first(
		short("device.id", d.ID, maxID),
		atMost("certificate", len(e.Certificate), maxImportedToken),
		atMost("bootstrapToken", len(e.BootstrapToken), maxImportedToken),
		atMost("unlockToken", len(e.UnlockToken), maxImportedToken),
		atMost("channels", len(e.Channels), maxImportedChannels),
		each(e.Channels, func(c adminapi.ImportedChannel) error {
			return first(short("the id of a channel", c.ID, maxID), atMost("pushToken", len(c.PushToken), maxID), atMost("pushMagic", len(c.PushMagic), maxID))
		}),
	)
}

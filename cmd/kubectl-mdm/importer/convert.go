package importer

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/importer/nanodb"
	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

// kinds are those of NanoMDM.
var kinds = map[string]string{"Device": "Device", "User Enrollment (Device)": "UserEnrollment"}

// facts is what a device says of itself as it enrols.
type facts struct {
	UDID, SerialNumber, Model, ModelName, ProductName, OSVersion, BuildVersion, DeviceName string
}

// convert makes an enrolment of NanoMDM one for the live view, or says why that cannot be.
func convert(e *nanodb.Enrollment, p *Profile) (out livev1alpha1.ImportedEnrollment, problem string) {
	out = livev1alpha1.ImportedEnrollment{
		DeviceID: e.ID, Kind: kinds[e.Type], SerialNumber: e.SerialNumber, EnrolledAt: timeOf(e.AuthenticatedAt), LastSeen: timeOf(e.LastSeen),
		PayloadIdentifier: p.Identifier, ServerURL: p.ServerURL, CheckInURL: p.CheckInURL, Topic: e.Topic, AccessRights: int32(p.AccessRights), //nolint:gosec // at most 8191
		UnlockToken: e.UnlockToken,
	}
	switch {
	case out.Kind == "":
		return out, fmt.Sprintf("NanoMDM calls its kind %q, which is not known", e.Type)
	case e.Topic != p.Topic:
		return out, fmt.Sprintf("its topic is %s and that of the enrolment profile %s: import it with the profile that it was enrolled with", e.Topic, p.Topic)
	}
	addFacts(&out, e)
	addCertificate(&out, e)
	var err error
	if e.BootstrapToken != "" {
		if out.BootstrapToken, err = base64.StdEncoding.DecodeString(e.BootstrapToken); err != nil {
			return out, "its bootstrap token is no base64"
		}
	}
	own := nanodb.User{ID: e.ID, PushMagic: e.PushMagic, TokenHex: e.TokenHex, TokenAt: e.TokenAt}
	for _, c := range append([]nanodb.User{own}, enabled(e.Users)...) {
		token, err := hex.DecodeString(c.TokenHex)
		if err != nil {
			return out, "its push token is not hexadecimal"
		}
		out.Channels = append(out.Channels, livev1alpha1.ImportedChannel{ID: c.ID, PushToken: token, PushMagic: c.PushMagic, TokenAt: timeOf(c.TokenAt)})
	}
	return out, ""
}

func enabled(users []nanodb.User) []nanodb.User {
	return slices.DeleteFunc(slices.Clone(users), func(u nanodb.User) bool { return !u.Enabled })
}

// addFacts reads the message that began the enrolment. One that cannot be read costs nothing but what it says: the device tells it again.
func addFacts(out *livev1alpha1.ImportedEnrollment, e *nanodb.Enrollment) {
	var f facts
	_ = xmlplist.Unmarshal([]byte(e.Authenticate), &f)
	if out.UDID = f.UDID; out.Kind == kinds["Device"] {
		out.UDID = e.ID
	}
	out.SerialNumber = cmp.Or(e.SerialNumber, f.SerialNumber)
	out.Model, out.ModelName, out.ProductName = f.Model, f.ModelName, f.ProductName
	out.OSVersion, out.BuildVersion, out.DeviceName = f.OSVersion, f.BuildVersion, f.DeviceName
}

// addCertificate adds the certificate in use: the one that NanoMDM associated last. It has the certificate itself if that is the one of the Authenticate.
func addCertificate(out *livev1alpha1.ImportedEnrollment, e *nanodb.Enrollment) {
	var der []byte
	if block, _ := pem.Decode([]byte(e.CertificatePEM)); block != nil {
		der = block.Bytes
	}
	sum := sha256.Sum256(der)
	fingerprint := hex.EncodeToString(sum[:])
	switch {
	case der != nil && (len(e.Fingerprints) == 0 || e.Fingerprints[0] == fingerprint):
		out.Certificate, out.CertificateSHA256 = der, fingerprint
	case len(e.Fingerprints) > 0:
		out.CertificateSHA256 = strings.TrimSpace(e.Fingerprints[0])
	}
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t}
}

// size estimates how large an enrolment is on the wire.
func size(e *livev1alpha1.ImportedEnrollment) int {
	const fixed = 1 << 10 // names, facts and addresses
	n := fixed + len(e.Certificate) + len(e.BootstrapToken) + len(e.UnlockToken) + 256*len(e.Channels)
	return n + n/3 // base64
}

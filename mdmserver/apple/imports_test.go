package apple_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

const typeCheckin = "application/x-apple-aspen-mdm-checkin"

// withImports is a server for devices of two other ones: one had a path for both kinds of messages.
func withImports(imports ...serverconfig.Import) apple.Options {
	o := server()
	o.Config.Apple.Imports = imports
	o.ImportCAs = func() []*x509.Certificate { return []*x509.Certificate{credentials().other.Cert} }
	return o
}

func TestThePathsOfImportsServeTheSame(t *testing.T) {
	o := withImports(serverconfig.Import{Name: "one", ServerPath: "/mdm", CheckInPath: "/mdm"},
		serverconfig.Import{Name: "two", ServerPath: "/old/command/", CheckInPath: "/old/checkin"})
	checkOut := message("MessageType", "<string>CheckOut</string>", "UDID", "<string>"+udid+"</string>", "Topic", "<string>"+topic+"</string>")
	idle := message("Status", "<string>Idle</string>", "UDID", "<string>"+udid+"</string>")
	for _, tc := range []struct{ path, kind, body, want string }{
		{"/mdm", typeCheckin, checkOut, "CheckOut  {" + udid},
		{"/mdm", typeCheckin + "; charset=utf-8", checkOut, "CheckOut  {" + udid},
		{"/mdm", "application/x-apple-aspen-mdm", idle, "Connect  {" + udid},
		{"/mdm", "", idle, "Connect  {" + udid},
		{"/old/command/", typeCheckin, idle, "Connect  {" + udid},
		{"/old/checkin", "", checkOut, "CheckOut  {" + udid},
	} {
		f := &fakeFleet{}
		r := httptest.NewRequest(http.MethodPut, tc.path, strings.NewReader(tc.body))
		r.Header.Set("Content-Type", tc.kind)
		r.Header.Set(identity.SignatureHeader, credentials().stranger.Sign(t, []byte(tc.body)))
		w := serve(t, o, f, r)
		if w.Code != http.StatusOK || !slices.ContainsFunc(f.calls, func(c string) bool { return strings.HasPrefix(c, tc.want) }) {
			t.Errorf("%s %s: %d, the fleet saw %q", tc.path, tc.kind, w.Code, f.calls)
		}
	}
	for path, want := range map[string]int{"/old/command/more": http.StatusNotFound, "/mdm/": http.StatusNotFound} {
		if w := serve(t, o, &fakeFleet{}, httptest.NewRequest(http.MethodPut, path, nil)); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Whoever was not imported is not enrolled, and no device may take that for the end of its enrolment.
func TestADeviceThatWasNotImportedIsAnswered403(t *testing.T) {
	body := message("Status", "<string>Idle</string>", "UDID", "<string>"+udid+"</string>")
	r := httptest.NewRequest(http.MethodPut, "/mdm", strings.NewReader(body))
	r.Header.Set(identity.SignatureHeader, credentials().stranger.Sign(t, []byte(body)))
	o := withImports(serverconfig.Import{Name: "one", ServerPath: "/mdm", CheckInPath: "/checkin"})
	if w := serve(t, o, &fakeFleet{err: fleet.ErrNotEnrolled}, r); w.Code != http.StatusForbidden {
		t.Errorf("answered %d", w.Code)
	}
}

func TestAnImportCannotHaveAPathOfTheServer(t *testing.T) {
	for _, path := range []string{"/", "", "mdm", "/apple/checkin", "/scep", "/enroll", "/ADE/x", "/api/mdm/x", "/a//b", "/a/../b", "/{x}", "/m dm"} {
		if _, err := apple.New(withImports(serverconfig.Import{Name: "one", ServerPath: path, CheckInPath: "/checkin"})); err == nil {
			t.Errorf("the path %q is taken", path)
		}
	}
}

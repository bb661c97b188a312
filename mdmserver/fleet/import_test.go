package fleet_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// oldParams are those of the other server's enrolment profile.
var oldParams = fleet.EnrollmentParams{
	PayloadIdentifier: "com.example.mdm.profile", ServerURL: "https://mdm.example.org/mdm", CheckInURL: "https://mdm.example.org/checkin", Topic: topic, AccessRights: 7167,
}

const importName = "nano"

// newImportWorld is a server that takes over devices of another one; verify judges their certificates.
func newImportWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.imports = fleet.ImportOptions{
		Host: "mdm.example.org", Topic: func() string { return topic },
		Paths: map[string]fleet.ImportPaths{importName: {ServerPath: "/mdm", CheckInPath: "/checkin"}},
	}
	w.must(w.store.Close())
	w.start()
	return w
}

// old is a device of the other server whose certificate lasts so long.
func (w *world) old(udid string, life time.Duration) (adminapi.ImportedEnrollment, *mac) {
	w.t.Helper()
	serial++
	now := w.clock.Now().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "nobody"}, NotBefore: now.Add(life - 365*day), NotAfter: now.Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, issuer.Public(), issuer)
	w.must(err)
	facts := factsOf(udid)
	e := adminapi.ImportedEnrollment{
		Device: adminapi.Device{ID: udid, Kind: adminapi.EnrollmentDevice, UDID: udid, SerialNumber: facts.SerialNumber, Model: facts.Model, OSVersion: facts.OSVersion,
			EnrolledAt: now.Add(-100 * day), LastSeen: now.Add(-time.Hour)},
		PayloadIdentifier: oldParams.PayloadIdentifier, ServerURL: oldParams.ServerURL, CheckInURL: oldParams.CheckInURL, Topic: topic, AccessRights: oldParams.AccessRights,
		Certificate: der, BootstrapToken: []byte("boot"), UnlockToken: []byte("unlock"),
		Channels: []adminapi.ImportedChannel{
			{ID: udid, PushToken: []byte("token"), PushMagic: "magic", TokenAt: now.Add(-2 * day)},
			{ID: udid + ":3F2504E0-4F89-11D3-9A0C-0305E82C3301", PushToken: []byte("user token"), PushMagic: "user magic"},
		},
	}
	return e, &mac{world: w, id: fleet.Identity{Fingerprint: fingerprint(der), NotBefore: template.NotBefore, NotAfter: template.NotAfter}, ch: deviceChannel(udid)}
}

// take imports enrolments and returns the outcomes, with messages, in words.
func (w *world) take(dryRun bool, all ...adminapi.ImportedEnrollment) []string {
	w.t.Helper()
	reply, err := w.Import(w.ctx, adminapi.ImportBatch{Import: importName, DryRun: dryRun, Enrollments: all})
	w.must(err)
	var out []string
	for _, r := range reply.Results {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.DeviceID, r.Outcome, r.Message)))
	}
	return out
}

func (w *world) wantTaken(got []string, want ...string) {
	w.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("got %q, want %q", got, want)
	}
}

// An imported device goes on with the certificate that it has, gets work, and is found by the manager.
func TestAnImportedDeviceGoesOn(t *testing.T) {
	w := newImportWorld(t)
	e, m := w.old("A", 300*day)

	w.wantTaken(w.take(true, e), "A Imported")
	_, err := w.Connect(w.ctx, m.id, m.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrNotEnrolled) // a dry run stores nothing

	w.wantTaken(w.take(false, e), "A Imported")
	d := w.device("A")
	if d.State != adminapi.DeviceEnrolled || d.EnrollmentID == "" || !d.EnrolledAt.Equal(e.Device.EnrolledAt) || !d.LastSeen.Equal(e.Device.LastSeen) || d.SerialNumber != "SN-A" ||
		!d.HasBootstrapToken || !d.HasUnlockToken || d.Users != 1 || !d.IdentityNotAfter.Equal(m.id.NotAfter) {
		t.Errorf("the device is %+v", d)
	}
	changes, err := w.Changes(w.ctx, 1, 0, 10)
	w.must(err)
	found := false
	for _, c := range changes.Changes {
		found = found || c.Device != nil && c.Device.ID == "A"
	}
	if !found {
		t.Error("the manager is not told of the device")
	}
	if token, err := w.BootstrapToken(w.ctx, m.id, m.ch); err != nil || string(token) != "boot" {
		t.Errorf("bootstrap token = %q, %v", token, err)
	}
	w.clock.advance(time.Hour) // the first pushes are spread
	wakes, err := w.Wakes(w.ctx, 10)
	w.must(err)
	if len(wakes) != 1 || string(wakes[0].Token) != "token" || wakes[0].Magic != "magic" || wakes[0].Topic != topic {
		t.Errorf("woken: %+v", wakes)
	}
	w.put("ns/p", "v1")
	m.id.EnrollmentID = d.EnrollmentID // for assign alone
	w.assign([]adminapi.Key{"ns/p"}, m)
	m.id.EnrollmentID = ""
	w.wantTaken(m.settle(), "install ns/p v1")
	user := &mac{world: w, id: m.id, ch: userChannel("A", "3F2504E0-4F89-11D3-9A0C-0305E82C3301")}
	w.wantDelivery(user.idle(), "nothing")
}

// The renewal repeats the other server's profile to the letter and ends what depends on its CA.
func TestAnImportedDeviceRenews(t *testing.T) {
	w := newImportWorld(t)
	e, m := w.old("A", 300*day)
	w.take(false, e)
	w.clock.advance(3 * day)
	w.wantDelivery(m.idle(), "nothing") // a person who looks at it can still go back
	w.clock.advance(12 * day)
	w.must(w.Sweep(w.ctx))
	renewal := m.idle()
	if renewal == nil || renewal.Renewal == nil || renewal.Renewal.Params != oldParams {
		t.Fatalf("the device got %+v", renewal)
	}
	fresh := &mac{world: w, id: w.redeem(renewal.Renewal.Challenge), ch: m.ch}
	w.must(w.Authenticate(w.ctx, fresh.id, fresh.ch, factsOf("A"), topic))
	w.must(w.TokenUpdate(w.ctx, fresh.id, fresh.ch, pushInfo(fresh.ch), nil, false))
	if d := w.device("A"); d.EnrollmentID != fresh.id.EnrollmentID || !d.IdentityNotAfter.Equal(fresh.id.NotAfter) || !d.HasBootstrapToken {
		t.Errorf("after the renewal the device is %+v", d)
	}
	w.wantDelivery(m.idle(), "nothing") // grace
	w.clock.advance(11 * time.Minute)
	_, err := w.Connect(w.ctx, m.id, m.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrSuperseded)
	w.wantDelivery(fresh.idle(), "nothing")
	w.wantTaken(w.take(false, e), "A Unchanged imported before")
}

// What ends soon is renewed at once; of what is known by its fingerprint alone nobody knows.
func TestWhenAnImportedCertificateIsRenewed(t *testing.T) {
	w := newImportWorld(t)
	soon, first := w.old("A", 20*day)
	hidden, second := w.old("B", 300*day)
	hidden.CertificateSHA256, hidden.Certificate = fingerprint(hidden.Certificate), nil
	w.wantTaken(w.take(false, soon, hidden), "A Imported", "B Imported")
	w.wantDelivery(first.idle(), "renew")
	w.wantDelivery(second.idle(), "nothing")
	if d := w.device("B"); !d.IdentityNotAfter.IsZero() {
		t.Errorf("the end of an unknown certificate is %s", d.IdentityNotAfter)
	}
	w.clock.advance(15 * day)
	w.must(w.Sweep(w.ctx)) // forgets no certificate that may be in use
	w.wantDelivery(second.idle(), "renew")
}

// A fleet is not renewed in one day.
func TestRenewalsOfAnImportAreSpread(t *testing.T) {
	w := newImportWorld(t)
	var all []adminapi.ImportedEnrollment
	var macs []*mac
	for i := range 60 {
		e, m := w.old(fmt.Sprintf("D%d", i), 300*day)
		all, macs = append(all, e), append(macs, m)
	}
	w.take(false, all...)
	due := func() (n int) {
		for _, m := range macs {
			if describe(m.idle()) == "renew" {
				n++
			}
		}
		return n
	}
	w.clock.advance(3*day - time.Minute)
	if n := due(); n != 0 {
		t.Errorf("after 3 days %d renewals are due", n)
	}
	w.clock.advance(5 * day)
	if n := due(); n < 15 || n > 45 {
		t.Errorf("after 8 days %d of 60 renewals are due", n)
	}
	w.clock.advance(6 * day)
	if n := due(); n != 60 {
		t.Errorf("after 14 days %d of 60 renewals are due", n)
	}
}

// What is live here is never changed, and what ended here is not raised from the dead.
func TestImportLeavesWhatIsEnrolledHere(t *testing.T) {
	w := newImportWorld(t)
	e, m := w.old("A", 300*day)
	w.take(false, e)
	before := w.device("A")
	w.clock.advance(day)
	w.wantTaken(w.take(false, e), "A Unchanged imported before")
	if after := w.device("A"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	here, _ := w.old("B", 300*day)
	live := w.enroll("B")
	w.wantTaken(w.take(false, here), "B Unchanged it is enrolled here")
	w.wantDelivery(live.idle(), "nothing")

	w.must(w.CheckOut(w.ctx, m.id, m.ch))
	w.wantTaken(w.take(false, e), "A Unchanged it was enrolled here until 2027-01-03 (CheckedOut): to manage it again, enrol it")

	// B left this server, and enrolled at the other one after that.
	w.must(w.CheckOut(w.ctx, live.id, live.ch))
	w.clock.advance(day)
	later, again := w.old("B", 300*day)
	later.Device.EnrolledAt = w.clock.Now().Add(-time.Hour)
	w.wantTaken(w.take(false, later), "B Imported")
	w.wantDelivery(again.idle(), "nothing")
}

// An imported certificate that the store does not know, because it is older than the import, opens nothing.
func TestAStrangerOfTheOldCA(t *testing.T) {
	w := newImportWorld(t)
	e, _ := w.old("A", 300*day)
	_, stranger := w.old("A", 300*day)
	w.take(false, e)
	_, err := w.Connect(w.ctx, stranger.id, stranger.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrNotEnrolled)
	w.wantErr(w.Authenticate(w.ctx, stranger.id, deviceChannel("C"), factsOf("C"), topic), fleet.ErrNotEnrolled)
	_, m := w.old("B", 300*day)
	m.id.Fingerprint = fingerprint(e.Certificate)
	w.wantErr(w.Verify(w.ctx, m.id, m.ch), fleet.ErrWrongIdentity) // A's certificate does not speak for B
}

func TestImportRefuses(t *testing.T) {
	w := newImportWorld(t)
	w.enroll("LIVE")
	w.imports.Verify = func(name string, cert *x509.Certificate) error {
		if cert.NotAfter.Equal(w.clock.Now().Truncate(time.Second).Add(123 * day)) {
			return errors.New("signed by unknown authority")
		}
		return nil
	}
	w.must(w.store.Close())
	w.start()
	taken, _ := w.old("T", 300*day)
	w.take(false, taken)
	for name, tc := range map[string]struct {
		change func(*adminapi.ImportedEnrollment)
		want   string
	}{
		"another UDID":       {func(e *adminapi.ImportedEnrollment) { e.Device.UDID = "Z" }, "not its UDID"},
		"a user's id":        {func(e *adminapi.ImportedEnrollment) { e.Device.ID = "X:1" }, "no identifier of a device"},
		"kind":               {func(e *adminapi.ImportedEnrollment) { e.Device.Kind = "Watch" }, `"Watch" is not known`},
		"no certificate":     {func(e *adminapi.ImportedEnrollment) { e.Certificate = nil }, "neither its certificate"},
		"garbage":            {func(e *adminapi.ImportedEnrollment) { e.Certificate = []byte("x") }, "cannot be read"},
		"bad fingerprint":    {func(e *adminapi.ImportedEnrollment) { e.Certificate, e.CertificateSHA256 = nil, "ab" }, "no SHA-256"},
		"other fingerprint":  {func(e *adminapi.ImportedEnrollment) { e.CertificateSHA256 = strings.Repeat("00", 32) }, "not that of the certificate"},
		"expired":            {func(e *adminapi.ImportedEnrollment) { o, _ := w.old("X", -day); e.Certificate = o.Certificate }, "ended on 2027-01-01"},
		"foreign":            {func(e *adminapi.ImportedEnrollment) { o, _ := w.old("X", 123*day); e.Certificate = o.Certificate }, "do not vouch"},
		"taken certificate":  {func(e *adminapi.ImportedEnrollment) { e.Certificate = taken.Certificate }, "that of another enrolment"},
		"taken serial":       {func(e *adminapi.ImportedEnrollment) { e.Device.SerialNumber = "SN-LIVE" }, "under another identifier"},
		"payload identifier": {func(e *adminapi.ImportedEnrollment) { e.PayloadIdentifier = "" }, "PayloadIdentifier"},
		"rights":             {func(e *adminapi.ImportedEnrollment) { e.AccessRights = 0 }, "AccessRights 0"},
		"topic":              {func(e *adminapi.ImportedEnrollment) { e.Topic = "com.apple.mgmt.other" }, "its topic is com.apple.mgmt.other and the server's push certificate has " + topic},
		"http":               {func(e *adminapi.ImportedEnrollment) { e.ServerURL = "http://mdm.example.org/mdm" }, "ServerURL is no https address"},
		"host":               {func(e *adminapi.ImportedEnrollment) { e.ServerURL = "https://old.example.org/mdm" }, "leads to the host old.example.org"},
		"path":               {func(e *adminapi.ImportedEnrollment) { e.CheckInURL = "https://mdm.example.org/mdm" }, `the path of its CheckInURL is "/mdm"`},
		"no channel":         {func(e *adminapi.ImportedEnrollment) { e.Channels = e.Channels[1:] }, "its own channel is missing"},
		"strange channel":    {func(e *adminapi.ImportedEnrollment) { e.Channels[1].ID = "Y:1" }, `the channel "Y:1" is not one of the device`},
		"channel twice":      {func(e *adminapi.ImportedEnrollment) { e.Channels[1].ID = "X" }, "there twice"},
		"no push token":      {func(e *adminapi.ImportedEnrollment) { e.Channels[0].PushToken = nil }, "no push token"},
		"no push magic":      {func(e *adminapi.ImportedEnrollment) { e.Channels[1].PushMagic = "" }, "no push token or no push magic"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := w.old("X", 300*day)
			tc.change(&e)
			for _, dryRun := range []bool{true, false} {
				if got := w.take(dryRun, e); !strings.HasPrefix(got[0], e.Device.ID+" Refused") || !strings.Contains(got[0], tc.want) {
					t.Errorf("got %q, want a refusal with %q", got, tc.want)
				}
			}
		})
	}
	x, _ := w.old("X", 300*day)
	w.wantTaken(w.take(false, x, x), "X Imported", "X Refused the batch has this device, or its certificate, twice")
	_, err := w.Import(w.ctx, adminapi.ImportBatch{Import: "other"})
	w.wantCode(err, adminapi.CodeNotFound)

	w.imports.Topic = func() string { return "" }
	w.must(w.store.Close())
	w.start()
	y, _ := w.old("Y", 300*day)
	w.wantTaken(w.take(true, y), "Y Refused the server has no push certificate yet: give it the one of the other server first")
}

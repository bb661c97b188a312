package fleet_test

import (
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const business = adminapi.Key("fleet/business")

// list stores an automated enrolment in which each of the serial numbers has the profile.
func (w *world) list(key adminapi.Key, digest, profile string, serials ...string) *adminapi.AutomatedStatus {
	w.t.Helper()
	devices := map[string]string{}
	for _, s := range serials {
		devices[s] = profile
	}
	st, err := w.PutAutomated(w.ctx, adminapi.Automated{
		Key: key, Digest: digest, Devices: devices, Profiles: []adminapi.AutomatedProfile{{Name: "macs", SignIn: true}, {Name: "others", AwaitConfiguration: true}},
	})
	w.must(err)
	return st
}

// listings reads what is stored of automated enrolments.
func (w *world) listings() map[adminapi.Key]adminapi.AutomatedStatus {
	w.t.Helper()
	p, err := w.ListAutomated(w.ctx, "", 0)
	w.must(err)
	all := map[adminapi.Key]adminapi.AutomatedStatus{}
	for _, st := range p.Items {
		all[st.Key] = st
	}
	return all
}

// setUp begins an enrolment in Setup Assistant: all of it but the TokenUpdate.
func (w *world) setUp(udid, account string) *mac {
	w.t.Helper()
	ch, err := w.IssueAutomated(w.ctx, business, "SN-"+udid, account, params)
	w.must(err)
	m := &mac{world: w, id: w.redeem(ch.Secret), ch: deviceChannel(udid)}
	w.must(w.Authenticate(w.ctx, m.id, m.ch, factsOf(udid), topic))
	return m
}

func TestOnlyListedDevicesEnrolInSetupAssistant(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		key    adminapi.Key
		serial string
	}{{business, "SN-A"}, {business, ""}, {"fleet/nobody", "SN-A"}} {
		_, err := w.IssueAutomated(w.ctx, tc.key, tc.serial, "", params)
		w.wantErr(err, fleet.ErrNotListed)
		_, err = w.AutomatedProfile(w.ctx, tc.key, tc.serial)
		w.wantErr(err, fleet.ErrNotListed)
	}
	if st := w.list(business, "1", "macs", "SN-A", "SN-B"); *st != (adminapi.AutomatedStatus{Key: business, Digest: "1", Devices: 2}) {
		t.Errorf("status %+v", st)
	}
	profile, err := w.AutomatedProfile(w.ctx, business, "SN-A")
	w.must(err)
	if profile.Name != "macs" || !profile.SignIn {
		t.Errorf("profile %+v", profile)
	}
	m := w.setUp("A", "ann@example.org")
	if d := w.device("A"); d.State != adminapi.DevicePending || d.Automated != business || d.UserPrincipalName != "ann@example.org" || d.Token != "" {
		t.Errorf("after Authenticate: %+v", d)
	}
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false))
	if d := w.device("A"); d.State != adminapi.DeviceEnrolled || d.AwaitingConfiguration {
		t.Errorf("after TokenUpdate: %+v", d)
	}

	late, err := w.IssueAutomated(w.ctx, business, "SN-B", "", params)
	w.must(err)
	w.list(business, "2", "", "SN-A")
	_, err = w.RedeemChallenge(w.ctx, late.Secret, "key", nil)
	w.wantErr(err, fleet.ErrNotListed)
	if profile, err := w.AutomatedProfile(w.ctx, business, "SN-A"); err != nil || profile.Name != "" || profile.SignIn {
		t.Errorf("a device without a profile has %+v, %v", profile, err)
	}
}

func TestADeviceIsListedOnce(t *testing.T) {
	w := newWorld(t)
	w.list(business, "1", "macs", "SN-A", "SN-B")
	w.list("fleet/school", "1", "others", "SN-B", "SN-C")
	_, err := w.IssueAutomated(w.ctx, business, "SN-B", "", params)
	w.wantErr(err, fleet.ErrNotListed)
	_, err = w.IssueAutomated(w.ctx, "fleet/school", "SN-B", "", params)
	w.must(err)
	if all := w.listings(); all[business].Devices != 1 || all["fleet/school"].Devices != 2 {
		t.Errorf("listed are %+v", all)
	}
	w.list(business, "1", "macs", "SN-A") // what the other one has stays there
	w.must(w.DeleteAutomated(w.ctx, business))
	w.must(w.DeleteAutomated(w.ctx, business))
	if all := w.listings(); len(all) != 1 || all["fleet/school"].Devices != 2 {
		t.Errorf("listed are %+v", all)
	}
	w.wantFeed()
}

// A device that was erased enrols anew, though nobody ended its enrolment; it is the only one that can.
func TestAListedDeviceTakesItsOwnEnrolmentOver(t *testing.T) {
	w := newWorld(t)
	w.list(business, "1", "macs", "SN-A", "SN-B")
	before := w.enroll("A")
	ch, err := w.IssueAutomated(w.ctx, business, "SN-B", "", params)
	w.must(err)
	thief := w.redeem(ch.Secret)
	w.wantErr(w.Authenticate(w.ctx, thief, before.ch, factsOf("A"), topic), fleet.ErrWrongIdentity)

	again := w.setUp("A", "")
	w.must(w.TokenUpdate(w.ctx, again.id, again.ch, pushInfo(again.ch), nil, false))
	if d := w.device("A"); d.EnrollmentID != again.id.EnrollmentID || d.Automated != business || d.Token != "" || len(d.TokenLabels) > 0 {
		t.Errorf("the device is %+v", d)
	}
	_, err = w.Connect(w.ctx, before.id, before.ch, fleet.Report{Status: fleet.StatusIdle})
	w.wantErr(err, fleet.ErrSuperseded)

	other := w.identity(tokenHash) // a token that is for nobody in particular
	w.wantErr(w.Authenticate(w.ctx, other, again.ch, factsOf("A"), topic), fleet.ErrReenrolmentBlocked)
}

func TestARenewalKeepsWhereADeviceCameFrom(t *testing.T) {
	w := newWorld(t)
	w.list(business, "1", "macs", "SN-A")
	m := w.setUp("A", "ann@example.org")
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false))
	w.must(w.DeleteAutomated(w.ctx, business)) // it renews nevertheless
	w.clock.advance(200 * 24 * time.Hour)
	d := m.idle()
	w.wantDelivery(d, "renew")
	renewed := w.redeem(d.Renewal.Challenge)
	w.must(w.Authenticate(w.ctx, renewed, m.ch, factsOf("A"), topic))
	w.must(w.TokenUpdate(w.ctx, renewed, m.ch, pushInfo(m.ch), nil, false))
	if d := w.device("A"); !d.IdentityNotAfter.Equal(renewed.NotAfter) || d.Automated != business || d.UserPrincipalName != "ann@example.org" {
		t.Errorf("the device is %+v", d)
	}
}

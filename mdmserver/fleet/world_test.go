package fleet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/store"
)

// world is a Fleet on a real SQLite file, with a clock that tests turn and an encoder that writes deliveries as JSON.
type world struct {
	*fleet.Fleet
	// open opens the store as a server does that starts.
	open  func() (*store.Store, error)
	t     testing.TB
	ctx   context.Context
	path  string
	clock *clock
	enc   *encoder
	store fleet.Store
	// imports are those of the next start.
	imports fleet.ImportOptions
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// encoder fails for the artifacts and request types in broken, and for DeviceConfigured as "configured".
type encoder struct{ broken map[string]error }

func (e *encoder) Encode(d fleet.Delivery) ([]byte, error) {
	if d.Install != nil && e.broken[string(d.Install.Artifact)] != nil {
		return nil, e.broken[string(d.Install.Artifact)]
	}
	if d.Action != nil && e.broken[d.Action.Command.RequestType] != nil {
		return nil, e.broken[d.Action.Command.RequestType]
	}
	if d.Configured != nil && e.broken["configured"] != nil {
		return nil, e.broken["configured"]
	}
	return json.Marshal(d)
}

const (
	tokenHash = "hash-of-the-token"
	topic     = "com.apple.mgmt.External.test"
)

var params = fleet.EnrollmentParams{
	PayloadIdentifier: "io.kubemdm.fleet.main.enroll", ServerURL: "https://mdm.example.org/apple/command",
	CheckInURL: "https://mdm.example.org/apple/checkin", Topic: topic, AccessRights: 8191,
}

func newWorld(t testing.TB) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fleet.db")
	w := newWorldOn(t, func() (*store.Store, error) { return store.OpenSQLite(t.Context(), path) })
	w.path = path
	return w
}

func newWorldOn(t testing.TB, open func() (*store.Store, error)) *world {
	t.Helper()
	w := &world{
		t: t, ctx: t.Context(), open: open, enc: &encoder{broken: map[string]error{}},
		clock: &clock{now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)},
	}
	w.start()
	t.Cleanup(func() { _ = w.store.Close() })
	_, err := w.PutToken(w.ctx, adminapi.Token{Key: "fleet/token", Hash: tokenHash, Labels: map[string]string{"group": "a"}})
	w.must(err)
	return w
}

// start does what a server does that starts.
func (w *world) start() {
	w.t.Helper()
	st, err := w.open()
	w.must(err)
	w.store = st
	w.Fleet = w.startFleet(w.enc)
}

func (w *world) startFleet(enc fleet.Encoder) *fleet.Fleet {
	w.t.Helper()
	ring := seal.Keyring{Primary: "k1", Keys: map[string][]byte{"k1": make([]byte, 32)}}
	f, err := fleet.New(w.store, enc, fleet.Options{Sealer: seal.New(func() seal.Keyring { return ring }), Now: w.clock.Now, Imports: w.imports})
	w.must(err)
	return f
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// backup copies the store as an administrator does who stops the server first.
func (w *world) backup() []byte {
	w.t.Helper()
	w.must(w.store.Close())
	b, err := os.ReadFile(w.path)
	w.must(err)
	w.start()
	return b
}

// restore puts a backup in place and starts on it.
func (w *world) restore(backup []byte) {
	w.t.Helper()
	w.must(w.store.Close())
	w.must(os.WriteFile(w.path, backup, 0o600))
	w.start()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantErr(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Fatalf("error = %v, want %v", err, want)
	}
}

func (w *world) wantCode(err error, want adminapi.Code) {
	w.t.Helper()
	if adminapi.CodeOf(err) != want {
		w.t.Fatalf("error = %v, want code %s", err, want)
	}
}

// issuer signs certificates as the device-identity CA does; the key is shared, for speed.
var issuer = func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}()

var serial int64

// certificate issues a certificate for a year.
func (w *world) certificate(enrollmentID string) (der []byte, id fleet.Identity) {
	w.t.Helper()
	serial++
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: enrollmentID},
		NotBefore: w.clock.Now().Truncate(time.Second), NotAfter: w.clock.Now().Truncate(time.Second).Add(365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, issuer.Public(), issuer)
	w.must(err)
	return der, fleet.Identity{Fingerprint: fingerprint(der), EnrollmentID: enrollmentID, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}
}

// redeem turns a challenge into an identity.
func (w *world) redeem(secret string) fleet.Identity {
	w.t.Helper()
	var id fleet.Identity
	_, err := w.RedeemChallenge(w.ctx, secret, "key of "+secret, func(g fleet.Grant) ([]byte, error) {
		var der []byte
		der, id = w.certificate(g.EnrollmentID)
		return der, nil
	})
	w.must(err)
	return id
}

// identity does what a device does with the enrolment profile of a token.
func (w *world) identity(hash string) fleet.Identity {
	w.t.Helper()
	ch, err := w.IssueChallenge(w.ctx, hash, params)
	w.must(err)
	return w.redeem(ch.Secret)
}

// mac is an enrolled device.
type mac struct {
	*world
	id fleet.Identity
	ch fleet.Channel
}

func deviceChannel(udid string) fleet.Channel {
	return fleet.Channel{ID: udid, DeviceID: udid, Kind: fleet.ChannelDevice}
}

func userChannel(udid, user string) fleet.Channel {
	return fleet.Channel{ID: udid + ":" + user, DeviceID: udid, Kind: fleet.ChannelUser}
}

func factsOf(udid string) fleet.DeviceFacts {
	return fleet.DeviceFacts{UDID: udid, SerialNumber: "SN-" + udid, Model: "Mac15,3", OSVersion: "15.1"}
}

// enroll enrols a device by the unbound token.
func (w *world) enroll(udid string) *mac {
	w.t.Helper()
	return w.enrollWith(udid, tokenHash)
}

func (w *world) enrollWith(udid, hash string) *mac {
	w.t.Helper()
	m := &mac{world: w, id: w.identity(hash), ch: deviceChannel(udid)}
	w.must(w.Authenticate(w.ctx, m.id, m.ch, factsOf(udid), topic))
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, pushInfo(m.ch), nil, false))
	return m
}

func pushInfo(ch fleet.Channel) fleet.PushInfo {
	return fleet.PushInfo{Token: []byte("token of " + ch.ID), Magic: "magic of " + ch.ID, Topic: topic}
}

// user opens a user channel.
func (m *mac) user(name string) *mac {
	m.t.Helper()
	u := &mac{world: m.world, id: m.id, ch: userChannel(m.ch.DeviceID, name)}
	m.must(m.AllowUserChannel(m.ctx, u.id, u.ch))
	m.must(m.TokenUpdate(m.ctx, u.id, u.ch, pushInfo(u.ch), nil, false))
	return u
}

// send reports and returns the delivery that came back, nil if none did.
func (m *mac) send(r fleet.Report) *fleet.Delivery {
	m.t.Helper()
	command, err := m.Connect(m.ctx, m.id, m.ch, r)
	m.must(err)
	if command == nil {
		return nil
	}
	d := &fleet.Delivery{}
	m.must(json.Unmarshal(command, d))
	return d
}

func (m *mac) idle() *fleet.Delivery {
	m.t.Helper()
	return m.send(fleet.Report{Status: fleet.StatusIdle})
}

func (m *mac) answer(d *fleet.Delivery, status fleet.Status) *fleet.Delivery {
	m.t.Helper()
	if d == nil {
		m.t.Fatal("there is no command to answer")
	}
	return m.send(fleet.Report{Status: status, CommandUUID: d.CommandUUID, Message: "said " + string(status), Body: []byte("<answer/>")})
}

// settle acknowledges everything until the server has nothing more, and returns what it was, in words.
func (m *mac) settle() []string {
	m.t.Helper()
	var got []string
	for d := m.idle(); d != nil; d = m.answer(d, fleet.StatusAcknowledged) {
		if got = append(got, describe(d)); len(got) > 100 {
			m.t.Fatal("the server never ends")
		}
	}
	return got
}

// describe puts a delivery into words.
func describe(d *fleet.Delivery) string {
	switch {
	case d == nil:
		return "nothing"
	case d.Install != nil:
		return fmt.Sprintf("install %s %s", d.Install.Artifact, d.Install.Digest)
	case d.Remove != nil:
		return "remove " + d.Remove.Identifier
	case d.Action != nil:
		return d.Action.Command.RequestType
	case d.Configured != nil:
		return "configured"
	}
	return "renew"
}

func (w *world) wantDelivery(d *fleet.Delivery, want string) {
	w.t.Helper()
	if got := describe(d); got != want {
		w.t.Fatalf("delivered %q, want %q", got, want)
	}
}

// device reads a device as the manager lists it.
func (w *world) device(id string) adminapi.Device {
	w.t.Helper()
	p, err := w.ListDevices(w.ctx, "", 0)
	w.must(err)
	for _, d := range p.Items {
		if d.ID == id {
			return d
		}
	}
	w.t.Fatalf("no device %s", id)
	return adminapi.Device{}
}

// put stores a system artifact whose identifier is made of its name.
func (w *world) put(key adminapi.Key, digest string) *adminapi.ArtifactStatus {
	w.t.Helper()
	return w.putArtifact(adminapi.Artifact{Key: key, Scope: adminapi.ScopeSystem, Identifier: "id." + string(key), Digest: digest})
}

func (w *world) putArtifact(a adminapi.Artifact) *adminapi.ArtifactStatus {
	w.t.Helper()
	if a.Template == nil {
		a.Template = []byte("template " + a.Digest)
	}
	st, err := w.PutArtifact(w.ctx, a)
	w.must(err)
	return st
}

// assign sets what devices should have.
func (w *world) assign(keys []adminapi.Key, macs ...*mac) {
	w.t.Helper()
	b := adminapi.AssignmentBatch{}
	for _, m := range macs {
		b.Assignments = append(b.Assignments, adminapi.Assignment{DeviceID: m.ch.DeviceID, EnrollmentID: m.id.EnrollmentID, Artifacts: keys})
	}
	reply, err := w.PutAssignments(w.ctx, b)
	w.must(err)
	if len(reply.Stale) > 0 {
		w.t.Fatalf("stale assignments: %v", reply.Stale)
	}
}

// artifact reads the counters of an artifact; nil if it is gone.
func (w *world) artifact(key adminapi.Key) *adminapi.ArtifactStatus {
	w.t.Helper()
	p, err := w.ListArtifacts(w.ctx, "", 0)
	w.must(err)
	for _, a := range p.Items {
		if a.Key == key {
			return &a
		}
	}
	return nil
}

// act stores an action for devices.
func (w *world) act(key adminapi.Key, command adminapi.AppleCommand, macs ...*mac) *adminapi.ActionStatus {
	w.t.Helper()
	a := adminapi.Action{Key: key, SpecHash: "spec", Apple: &command}
	for _, m := range macs {
		a.Targets = append(a.Targets, adminapi.ActionTarget{DeviceID: m.ch.DeviceID, EnrollmentID: m.id.EnrollmentID})
	}
	st, err := w.PutAction(w.ctx, a)
	w.must(err)
	return st
}

// wantTarget checks the state of an action on a device.
func (w *world) wantTarget(key adminapi.Key, deviceID string, want adminapi.TargetState) {
	w.t.Helper()
	r, err := w.ActionResult(w.ctx, key, deviceID)
	w.must(err)
	if r.State != want {
		w.t.Fatalf("%s on %s is %s, want %s", key, deviceID, r.State, want)
	}
}

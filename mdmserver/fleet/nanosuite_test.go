package fleet_test

import (
	"context"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/micromdm/nanomdm/mdm"
	"github.com/micromdm/nanomdm/storage"
	"github.com/micromdm/nanomdm/storage/inmem"
	"github.com/micromdm/nanomdm/test/e2e"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// TestNanoMDMStoreSuite runs the suite that NanoMDM publishes for its storage backends.
func TestNanoMDMStoreSuite(t *testing.T) {
	suite, _ := runtime.FuncForPC(reflect.ValueOf(e2e.TestE2E).Pointer()).FileLine(0)
	for dialect, newWorld := range map[string]func(testing.TB) *world{"SQLite": newWorld, "PostgreSQL": newPostgresWorld} {
		t.Run(dialect, func(t *testing.T) {
			w := newWorld(t)
			w.clock.now = time.Now() // the suite's certificates are of today
			nano := &nanoStore{world: w, InMem: inmem.New(), ids: map[string]fleet.Identity{}, reports: map[string]fleet.Report{}, uuids: map[string]string{}}
			w.Fleet = w.startFleet(nano)
			t.Chdir(filepath.Dir(suite)) // it reads fixtures by relative path
			e2e.TestE2E(t, t.Context(), nano)
		})
	}
}

// nanoStore puts NanoMDM's many small storage calls onto a Fleet, which makes one decision per request. Where the two worlds differ, it maps:
//
//   - NanoMDM lets a device enrol again with the certificate it has. Here an enrolment has a certificate of its own, and a device that is enrolled is
//     replaced only by a token for that very device. Each StoreAuthenticate, and each association of a certificate, therefore redeems a challenge of such
//     a token for the device's certificate, as if it had just been issued.
//   - NanoMDM disables a device within Authenticate; here it is Pending then, and Disable of anything else is a check-out.
//   - NanoMDM stores a report and then asks for the next command; here both are one Connect.
//   - NanoMDM's callers choose a CommandUUID; here the server does. The adapter, being the encoder too, translates.
//   - The push certificate is no business of the store here: NanoMDM's own in-memory store, which is embedded, keeps it.
type nanoStore struct {
	*inmem.InMem
	world *world

	mu      sync.Mutex
	ids     map[string]fleet.Identity
	reports map[string]fleet.Report
	uuids   map[string]string // NanoMDM's CommandUUID to ours
	queue   []adminapi.Key
}

var _ storage.AllStorage = (*nanoStore)(nil)

// Encode returns the raw command as it was enqueued.
func (n *nanoStore) Encode(d fleet.Delivery) ([]byte, error) {
	command, err := mdm.DecodeCommand(d.Action.Command.Raw)
	if err != nil {
		return nil, err
	}
	n.uuids[command.CommandUUID] = d.CommandUUID
	return command.Raw, nil
}

func (n *nanoStore) identity(id string) fleet.Identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ids[id]
}

// enrol starts an enrolment with the certificate of the request.
func (n *nanoStore) enrol(r *mdm.Request, facts fleet.DeviceFacts) error {
	w, ctx := n.world, r.Context()
	if _, err := w.PutToken(ctx, adminapi.Token{Key: adminapi.Key("nano/" + r.ID), Hash: r.ID, UDID: r.ID}); err != nil {
		return err
	}
	ch, err := w.IssueChallenge(ctx, r.ID, params)
	if err != nil {
		return err
	}
	der, err := w.RedeemChallenge(ctx, ch.Secret, "key", func(fleet.Grant) ([]byte, error) { return r.Certificate.Raw, nil })
	if err != nil {
		return err
	}
	id := fleet.Identity{Fingerprint: fingerprint(der), EnrollmentID: ch.EnrollmentID, NotBefore: r.Certificate.NotBefore, NotAfter: r.Certificate.NotAfter}
	n.mu.Lock()
	n.ids[r.ID] = id
	n.mu.Unlock()
	return w.Authenticate(ctx, id, deviceChannel(r.ID), facts, topic)
}

func (n *nanoStore) StoreAuthenticate(r *mdm.Request, msg *mdm.Authenticate) error {
	return n.enrol(r, fleet.DeviceFacts{UDID: msg.UDID, SerialNumber: msg.SerialNumber})
}

func (n *nanoStore) StoreTokenUpdate(r *mdm.Request, msg *mdm.TokenUpdate) error {
	push := fleet.PushInfo{Token: msg.Token, Magic: msg.PushMagic, Topic: msg.Topic}
	return n.world.TokenUpdate(r.Context(), n.identity(r.ID), deviceChannel(r.ID), push, msg.UnlockToken, false)
}

func (n *nanoStore) StoreUserAuthenticate(r *mdm.Request, _ *mdm.UserAuthenticate) error {
	return n.world.AllowUserChannel(r.Context(), n.identity(r.ParentID), userChannel(r.ParentID, r.ID))
}

func (n *nanoStore) Disable(r *mdm.Request) error {
	if n.world.device(r.ID).State == adminapi.DevicePending {
		return nil
	}
	return n.world.CheckOut(r.Context(), n.identity(r.ID), deviceChannel(r.ID))
}

func (n *nanoStore) StoreCommandReport(r *mdm.Request, report *mdm.CommandResults) error {
	n.reports[r.ID] = fleet.Report{Status: fleet.Status(report.Status), CommandUUID: n.uuids[report.CommandUUID], Body: report.Raw}
	return nil
}

func (n *nanoStore) RetrieveNextCommand(r *mdm.Request, _ bool) (*mdm.Command, error) {
	raw, err := n.world.Connect(r.Context(), n.identity(r.ID), deviceChannel(r.ID), n.reports[r.ID])
	if err != nil || raw == nil {
		return nil, err
	}
	return mdm.DecodeCommand(raw)
}

func (n *nanoStore) EnqueueCommand(ctx context.Context, ids []string, cmd *mdm.Command) (map[string]error, error) {
	a := adminapi.Action{Key: adminapi.Key("nano/" + cmd.CommandUUID), SpecHash: "spec", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleRaw, Raw: cmd.Raw}}
	for _, id := range ids {
		a.Targets = append(a.Targets, adminapi.ActionTarget{DeviceID: id, EnrollmentID: n.identity(id).EnrollmentID})
	}
	n.queue = append(n.queue, a.Key)
	_, err := n.world.PutAction(ctx, a)
	return nil, err
}

func (n *nanoStore) ClearQueue(r *mdm.Request) error {
	for _, key := range n.queue {
		if err := n.world.CancelAction(r.Context(), key); err != nil {
			return err
		}
	}
	return nil
}

func (n *nanoStore) StoreBootstrapToken(r *mdm.Request, msg *mdm.SetBootstrapToken) error {
	return n.world.SetBootstrapToken(r.Context(), n.identity(r.ID), deviceChannel(r.ID), msg.BootstrapToken.BootstrapToken)
}

func (n *nanoStore) RetrieveBootstrapToken(r *mdm.Request, _ *mdm.GetBootstrapToken) (*mdm.BootstrapToken, error) {
	token, err := n.world.BootstrapToken(r.Context(), n.identity(r.ID), deviceChannel(r.ID))
	if err != nil || token == nil {
		return nil, err
	}
	return &mdm.BootstrapToken{BootstrapToken: token}, nil
}

func (n *nanoStore) RetrieveTokenUpdateTally(ctx context.Context, id string) (tally int, err error) {
	err = n.world.store.View(ctx, func(tx fleet.Tx) error {
		c, err := tx.Channel(id)
		if c != nil {
			tally = c.Tally
		}
		return err
	})
	return tally, err
}

func (n *nanoStore) RetrievePushInfo(ctx context.Context, ids []string) (map[string]*mdm.Push, error) {
	if err := n.world.WakeNow(ctx, ids); err != nil {
		return nil, err
	}
	wakes, err := n.world.Wakes(ctx, len(ids))
	infos := map[string]*mdm.Push{}
	for _, wake := range wakes {
		infos[wake.ChannelID] = &mdm.Push{PushMagic: wake.Magic, Token: wake.Token, Topic: wake.Topic}
	}
	return infos, err
}

func (n *nanoStore) RetrieveMigrationCheckins(ctx context.Context, out chan<- interface{}) error {
	page, err := n.world.ListDevices(ctx, "", 0)
	if err != nil {
		return err
	}
	for _, d := range page.Items {
		push, err := n.RetrievePushInfo(ctx, []string{d.ID})
		if err != nil {
			return err
		}
		if push[d.ID] == nil { // never enrolled to the end
			continue
		}
		who := mdm.Enrollment{UDID: d.ID}
		out <- &mdm.Authenticate{Enrollment: who, MessageType: mdm.MessageType{MessageType: "Authenticate"}, SerialNumber: d.SerialNumber}
		out <- &mdm.TokenUpdate{Enrollment: who, MessageType: mdm.MessageType{MessageType: "TokenUpdate"}, Push: *push[d.ID]}
	}
	return nil
}

// known returns the rows of a certificate and of the device it was used by.
func (n *nanoStore) known(ctx context.Context, hash string) (id *fleet.IdentityRow, deviceID string, err error) {
	err = n.world.store.View(ctx, func(tx fleet.Tx) error {
		if id, err = tx.Identity(hash); err != nil || id == nil {
			return err
		}
		e, err := tx.Enrollment(id.EnrollmentID)
		if e != nil {
			deviceID = e.DeviceID
		}
		return err
	})
	return id, deviceID, err
}

func (n *nanoStore) HasCertHash(r *mdm.Request, hash string) (bool, error) {
	id, _, err := n.known(r.Context(), hash)
	return id != nil, err
}

func (n *nanoStore) EnrollmentHasCertHash(r *mdm.Request, _ string) (bool, error) {
	return n.identity(r.ID).Fingerprint != "", nil
}

func (n *nanoStore) IsCertHashAssociated(r *mdm.Request, hash string) (bool, error) {
	_, deviceID, err := n.known(r.Context(), hash)
	return deviceID == r.ID, err
}

func (n *nanoStore) AssociateCertHash(r *mdm.Request, _ string) error {
	return n.enrol(r, fleet.DeviceFacts{UDID: r.ID})
}

func (n *nanoStore) EnrollmentFromHash(ctx context.Context, hash string) (string, error) {
	_, deviceID, err := n.known(ctx, hash)
	return deviceID, err
}

package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Sealer encrypts what is stored. context binds a value to its row: a value opens only with the context it was sealed with.
type Sealer interface {
	Seal(plain, context []byte) ([]byte, error)
	Open(sealed, context []byte) ([]byte, error)
}

// Options configure a Fleet. Sealer is required.
type Options struct {
	Sealer Sealer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Rand is the source of ids, challenges and PINs; nil means crypto/rand.
	Rand io.Reader
	// SilentAfter is the silence after which a device counts as not responding; 0 means DefaultSilentAfter.
	SilentAfter time.Duration
	// RenewBefore is how long before its end an identity is renewed; 0 means DefaultRenewBefore. Up to a tenth of it is added per
	// enrolment, so that a fleet enrolled in one day is not renewed in one day.
	RenewBefore time.Duration
	// VerifyEvery is how often what is on a Windows device is read back; 0 means DefaultVerifyEvery.
	VerifyEvery time.Duration
	// Imports says which enrolments of other servers can be taken over.
	Imports ImportOptions
	// Log gets what only the operator of the server can act on; nil discards it. It never holds an identifier.
	Log *slog.Logger
}

// Defaults of Options. An identity that has expired cannot fetch its own renewal (the device's requests are no longer signed by a
// valid certificate), so the window is half of the default validity of a year: a Mac that spends months in a drawer still returns in time.
const (
	DefaultSilentAfter = 7 * 24 * time.Hour
	DefaultRenewBefore = 180 * 24 * time.Hour
	DefaultVerifyEvery = 8 * time.Hour
)

// Fleet decides. Its methods are safe for concurrent use; each is one transaction.
type Fleet struct {
	store   Store
	encoder Encoder
	opts    Options
	holder  string // names this process in leases

	work   chan struct{}
	stale  chan struct{}                        // gets a value soon after a transaction
	agents atomic.Pointer[map[string]AgentView] // by node key hash; nil until RunAgents has read them
	lookup chan struct{}                        // holds a value for each agent that is being looked for in the store

	mu      sync.Mutex
	changed chan struct{}        // closed and replaced when a transaction marked something dirty or told something
	seen    map[string]time.Time // device id to the last contact that is not stored yet
}

// New returns the Fleet over a store, which need not answer yet.
func New(store Store, encoder Encoder, opts Options) (*Fleet, error) {
	f := &Fleet{
		store: store, encoder: encoder, opts: opts, work: make(chan struct{}, 1), stale: make(chan struct{}, 1), lookup: make(chan struct{}, agentLookups),
		changed: make(chan struct{}), seen: map[string]time.Time{},
	}
	f.opts.setDefaults()
	var err error
	if f.holder, err = f.uuid(); err != nil {
		return nil, err
	}
	return f, nil
}

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.SilentAfter == 0 {
		o.SilentAfter = DefaultSilentAfter
	}
	if o.RenewBefore == 0 {
		o.RenewBefore = DefaultRenewBefore
	}
	if o.VerifyEvery == 0 {
		o.VerifyEvery = DefaultVerifyEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// StoreEpoch is that of the store. When it changes, the manager lists and sends everything again.
func (f *Fleet) StoreEpoch() string { return f.store.Epoch() }

// Words about the store.
const (
	metaLeaseEpoch = "lease-epoch"
	// metaHistorySwept is the number of the last entry of history that the sweep has looked at.
	metaHistorySwept = "history-swept"
)

// txn is a transaction and what it has to tell when it is committed.
type txn struct {
	Tx
	now   time.Time
	dirty map[adminapi.Kind]map[string]bool
	woke  bool
	told  bool
}

func (f *Fleet) view(ctx context.Context, fn func(*txn) error) error {
	return f.store.View(ctx, func(tx Tx) error { return fn(&txn{Tx: tx, now: f.now()}) })
}

// recorded is a refusal that is to be remembered: what the transaction wrote is committed, and the error is returned all the same.
type recorded struct{ error }

func (r recorded) Unwrap() error { return r.error }

// update runs fn and, once it is committed, wakes those who wait for changes or work.
func (f *Fleet) update(ctx context.Context, fn func(*txn) error) error {
	var t *txn
	var refusal recorded
	err := f.store.Update(ctx, func(tx Tx) error {
		t, refusal = &txn{Tx: tx, now: f.now(), dirty: map[adminapi.Kind]map[string]bool{}}, recorded{}
		if err := fn(t); err != nil && !errors.As(err, &refusal) {
			return err
		}
		return t.flushDirty()
	})
	if err != nil {
		return err
	}
	signal(f.stale)
	if len(t.dirty) > 0 || t.told {
		f.broadcast()
	}
	if t.woke {
		signal(f.work)
	}
	return refusal.error
}

// signal leaves a value in a channel that holds one, if it is empty.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// touch marks a row as changed; it gets its version when the transaction ends.
func (t *txn) touch(kind adminapi.Kind, key string) {
	if t.dirty[kind] == nil {
		t.dirty[kind] = map[string]bool{}
	}
	t.dirty[kind][key] = true
}

func (t *txn) flushDirty() error {
	for kind, keys := range t.dirty {
		for key := range keys {
			version, err := t.NextVersion()
			if err != nil {
				return err
			}
			if err := t.PutDirty(DirtyRow{Kind: kind, Key: key, Version: version}); err != nil {
				return err
			}
		}
	}
	return nil
}

// wake makes a channel be pushed to now; that of a device has the device's own id.
func (t *txn) wake(channelID string) error {
	t.woke = true
	return t.WakeChannel(channelID, t.now)
}

// wakeAll makes all channels of a device be pushed to now.
func (t *txn) wakeAll(deviceID string) error {
	t.woke = true
	return t.WakeDevice(deviceID, t.now)
}

// wakeArtifact makes all channels be pushed to now on which something is to be done about the artifact.
func (t *txn) wakeArtifact(key adminapi.Key) error {
	t.woke = true
	return t.WakeArtifact(key, t.now)
}

// Run tells those who wait for changes or work what other processes commit to the store, until ctx ends.
func (f *Fleet) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.store.Announced():
		}
		signal(f.stale)
		signal(f.work)
		f.broadcast()
	}
}

func (f *Fleet) broadcast() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Fleet) changes() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// now is the clock in the resolution of the store.
func (f *Fleet) now() time.Time { return f.opts.Now().UTC().Truncate(time.Microsecond) }

// secret returns 32 random bytes in URL-safe base64.
func (f *Fleet) secret() (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(f.opts.Rand, b); err != nil {
		return "", fmt.Errorf("reading random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// uuid returns a random UUID (RFC 9562, version 4) in upper case, as devices write theirs.
func (f *Fleet) uuid() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(f.opts.Rand, b[:]); err != nil {
		return "", fmt.Errorf("reading random bytes: %w", err)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[0:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// pin returns six random digits.
func (f *Fleet) pin() (string, error) {
	n, err := rand.Int(f.opts.Rand, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("making a PIN: %w", err)
	}
	return fmt.Sprintf("%06d", n), nil
}

// seal encrypts plain for the row that the words name; nil stays nil.
func (f *Fleet) seal(plain []byte, words ...string) ([]byte, error) {
	if plain == nil {
		return nil, nil
	}
	sealed, err := f.opts.Sealer.Seal(plain, sealContext(words))
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return sealed, nil
}

// open decrypts what seal made with the same words; nil stays nil.
func (f *Fleet) open(sealed []byte, words ...string) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	plain, err := f.opts.Sealer.Open(sealed, sealContext(words))
	if err != nil {
		return nil, fmt.Errorf("opening a sealed value: %w", err)
	}
	return plain, nil
}

// sealContext joins words so that no two lists give the same bytes.
func sealContext(words []string) []byte {
	var b []byte
	for _, w := range words {
		b = fmt.Appendf(b, "%d:%s", len(w), w)
	}
	return b
}

// What is sealed, the first word of its context.
const (
	sealedTemplate  = "template"
	sealedMagic     = "push-magic"
	sealedBootstrap = "bootstrap-token"
	sealedUnlock    = "unlock-token"
	sealedDigest    = "digest-secret"
	sealedCommand   = "command"
	sealedPIN       = "pin"
	sealedResult    = "result"
)

// hashHex is the lower-case hex SHA-256 of a secret.
func hashHex(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

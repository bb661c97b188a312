package fleet

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// When an imported device renews its certificate, which ends what depends on the other server's CA. Nobody can go back to the other server after that, so
// there are quiet days first; then the days over which a fleet is spread.
const (
	importQuiet  = 3 * 24 * time.Hour
	importSpread = 11 * 24 * time.Hour
	// importUrgent is the rest of a certificate's life that leaves no time to wait.
	importUrgent = 30 * 24 * time.Hour
	// importWake spreads the first pushes to a fleet.
	importWake = 30 * time.Minute
	// unknownLife is how long a certificate is remembered of which only the fingerprint is known.
	unknownLife = 10 * 365 * 24 * time.Hour
	// importedMessage is what the history says.
	importedMessage = "imported"
)

// ImportOptions say what can be imported.
type ImportOptions struct {
	// Host is the server's public DNS name, with ":port" only if it is not 443.
	Host string
	// Topic returns the push certificate's topic, empty while there is no push certificate.
	Topic func() string
	// Paths are those of each import by its name.
	Paths map[string]ImportPaths
	// Verify says why an identity certificate would be refused by the named import's CA, or nil.
	Verify func(name string, cert *x509.Certificate) error
}

// ImportPaths are the paths that devices of another server were enrolled with.
type ImportPaths struct{ ServerPath, CheckInPath string }

// imported is an enrolment that is judged, and what is known of it here.
type imported struct {
	*adminapi.ImportedEnrollment
	options ImportOptions
	paths   ImportPaths
	now     time.Time
	// cert is nil when only its fingerprint is known.
	cert        *x509.Certificate
	fingerprint string
	malformed   error
	// device and known are what the store has under the identifier and the fingerprint; namesake is another live device with the serial number.
	device   *DeviceRow
	known    *IdentityRow
	namesake *DeviceRow
	// name is the import's. repeated is true when the batch has the device, or its certificate, twice.
	name     string
	repeated bool
}

// Import takes over enrolments of another server in one transaction, or judges them in a dry run. It is idempotent: what is live here is never changed.
// Errors: CodeNotFound for an import that the server does not have.
func (f *Fleet) Import(ctx context.Context, b adminapi.ImportBatch) (*adminapi.ImportReply, error) {
	paths, ok := f.opts.Imports.Paths[b.Import]
	if !ok {
		return nil, &adminapi.Error{Code: adminapi.CodeNotFound, Message: fmt.Sprintf("the server has no import named %.64q: add it to spec.apple.imports", b.Import)}
	}
	reply := &adminapi.ImportReply{}
	run := f.update
	if b.DryRun {
		run = f.view
	}
	err := run(ctx, func(tx *txn) error {
		reply.Results = make([]adminapi.ImportResult, 0, len(b.Enrollments))
		seen := map[string]bool{}
		for i := range b.Enrollments {
			in := &imported{ImportedEnrollment: &b.Enrollments[i], options: f.opts.Imports, paths: paths, name: b.Import, now: tx.now}
			if err := in.gather(tx, seen); err != nil {
				return err
			}
			result := in.judge()
			if result.Outcome == adminapi.Imported && !b.DryRun {
				if err := f.take(tx, in); err != nil {
					return err
				}
			}
			reply.Results = append(reply.Results, result)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// gather reads the certificate and what the store knows.
func (in *imported) gather(tx *txn, seen map[string]bool) error {
	in.fingerprint = strings.ToLower(in.CertificateSHA256)
	if len(in.Certificate) > 0 {
		sum := sha256.Sum256(in.Certificate)
		in.fingerprint = hex.EncodeToString(sum[:])
		in.cert, in.malformed = x509.ParseCertificate(in.Certificate)
	}
	in.repeated = seen["id "+in.Device.ID] || in.fingerprint != "" && seen["certificate "+in.fingerprint]
	seen["id "+in.Device.ID], seen["certificate "+in.fingerprint] = true, true
	var err error
	if in.device, err = tx.Device(in.Device.ID); err != nil {
		return err
	}
	if in.known, err = tx.Identity(in.fingerprint); err != nil {
		return err
	}
	in.namesake, err = tx.DeviceWithSerial(in.Device.SerialNumber, in.Device.ID)
	return err
}

// take stores the enrolment as one of this server's that is complete.
func (f *Fleet) take(tx *txn, in *imported) error {
	if in.device != nil {
		if err := closeEnrolment(tx, in.device); err != nil {
			return err
		}
	}
	id, err := f.uuid()
	if err != nil {
		return err
	}
	enrollment := EnrollmentRow{ID: id, DeviceID: in.Device.ID, Params: in.params(), IssuedAt: tx.now}
	if err := tx.PutEnrollment(enrollment); err != nil {
		return err
	}
	identity := in.identity(id)
	if err := tx.PutIdentity(identity); err != nil {
		return err
	}
	device, err := f.importedDevice(in, identity)
	if err != nil {
		return err
	}
	if err := tx.PutDevice(device); err != nil {
		return err
	}
	for _, c := range in.Channels {
		if err := f.takeChannel(tx, in, c); err != nil {
			return err
		}
	}
	tx.woke = true
	tx.touch(adminapi.KindDevice, device.ID)
	return tx.tellDevice(&device, adminapi.HistoryEnrolled, importedMessage)
}

// importedDevice is the row of the device. The certificate of the other server has no beginning there, so that any of this server's is newer.
func (f *Fleet) importedDevice(in *imported, identity IdentityRow) (DeviceRow, error) {
	d := in.Device
	device := DeviceRow{
		ID: d.ID, Platform: adminapi.PlatformApple, Kind: d.Kind, State: adminapi.DeviceEnrolled, EnrollmentID: identity.EnrollmentID,
		EnrolledAt: in.past(d.EnrolledAt), LastSeen: in.past(d.LastSeen), Intent: adminapi.IntentManage, Params: in.params(),
		Facts: DeviceFacts{
			UDID: d.UDID, SerialNumber: d.SerialNumber, Model: d.Model, ModelName: d.ModelName, ProductName: d.ProductName,
			OSVersion: d.OSVersion, BuildVersion: d.BuildVersion, DeviceName: d.DeviceName,
		},
		Fingerprint: identity.Fingerprint, RenewAt: in.renewAt(),
	}
	if in.cert != nil {
		device.IdentityNotAfter = identity.NotAfter
	}
	var err error
	if len(in.BootstrapToken) > 0 {
		if device.BootstrapToken, err = f.seal(in.BootstrapToken, sealedBootstrap, d.ID); err != nil {
			return device, err
		}
	}
	if len(in.UnlockToken) > 0 {
		device.UnlockToken, err = f.seal(in.UnlockToken, sealedUnlock, d.ID)
	}
	return device, err
}

// takeChannel stores a channel as one that sent a TokenUpdate. The device is woken soon, so that one hears whether it finds its way here.
func (f *Fleet) takeChannel(tx *txn, in *imported, c adminapi.ImportedChannel) error {
	row := ChannelRow{
		Channel: in.channel(c.ID), Enabled: true, Tally: 1, PushToken: c.PushToken, Topic: in.Topic, TokenAt: in.past(c.TokenAt),
	}
	row.Scope = scopeOf(row.Channel)
	if row.IsDevice() {
		row.WakeAt = tx.now.Add(in.share(importWake))
	}
	var err error
	if row.PushMagic, err = f.seal([]byte(c.PushMagic), sealedMagic, c.ID); err != nil {
		return err
	}
	return tx.PutChannel(row)
}

// channel names a channel of the device as check-ins do. Users of a Shared iPad go by their short name, all others by a GUID.
func (in *imported) channel(id string) Channel {
	user := in.Device.Kind == adminapi.EnrollmentUser
	ch := Channel{ID: id, DeviceID: in.Device.ID}
	_, name, _ := strings.Cut(id, ":")
	switch {
	case ch.IsDevice() && user:
		ch.Kind = ChannelUserEnrollmentDevice
	case ch.IsDevice():
		ch.Kind = ChannelDevice
	case user:
		ch.Kind = ChannelUserEnrollment
	case isGUID(name):
		ch.Kind = ChannelUser
	default:
		ch.Kind = ChannelSharedIPad
	}
	return ch
}

func isGUID(s string) bool {
	hexDigits, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return err == nil && len(hexDigits) == 16
}

func (in *imported) params() EnrollmentParams {
	return EnrollmentParams{
		PayloadIdentifier: in.PayloadIdentifier, ServerURL: in.ServerURL, CheckInURL: in.CheckInURL, Topic: in.Topic, AccessRights: in.AccessRights,
	}
}

// identity is the certificate in use. The end of an unknown one only says how long it is remembered.
func (in *imported) identity(enrollmentID string) IdentityRow {
	row := IdentityRow{Fingerprint: in.fingerprint, EnrollmentID: enrollmentID, NotAfter: in.now.Add(unknownLife)}
	if in.cert != nil {
		row.NotBefore, row.NotAfter = in.cert.NotBefore.UTC(), in.cert.NotAfter.UTC()
	}
	return row
}

// past is a time that was given, or now if none was or it has not come yet.
func (in *imported) past(at time.Time) time.Time {
	if at.IsZero() || at.After(in.now) {
		return in.now
	}
	return at.UTC().Truncate(time.Microsecond)
}

// renewAt is when the device gets a certificate of this server's.
func (in *imported) renewAt() time.Time {
	if in.cert != nil && in.cert.NotAfter.Before(in.now.Add(importUrgent)) {
		return in.now
	}
	return in.now.Add(importQuiet + in.share(importSpread))
}

// share is the device's part of a span, the same each time.
func (in *imported) share(of time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(in.Device.ID))
	return time.Duration(sum[0]) * of / 256
}

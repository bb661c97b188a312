package windows

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

const (
	// maxMessage is the largest message of a device, in bytes. Windows sends larger values in several messages.
	maxMessage = 4 << 20
	// retryAfter is when a device whose message could not be taken comes back, in seconds.
	retryAfter = "60"
)

// sessions is what management sessions ask of fleet.Fleet.
type sessions interface {
	DigestCredentials(ctx context.Context, deviceID string) (*fleet.DigestCredentials, error)
	Manage(ctx context.Context, id fleet.Identity, deviceID string, by adminapi.ManagementAuthentication, m fleet.WindowsMessage) ([]fleet.WindowsOrder, error)
}

// refusals are the statuses, of the message's header, for what fleet says of a device that proved its identity. What is in neither table is 500.
var refusals = []struct {
	err    error
	status string
}{
	{fleet.ErrNotEnrolled, wire.StatusForbidden},
	{fleet.ErrWrongIdentity, wire.StatusForbidden},
	{fleet.ErrSuperseded, wire.StatusForbidden},
	{fleet.ErrReenrolmentBlocked, wire.StatusForbidden},
}

func refusalOf(err error) string {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.status
		}
	}
	return wire.StatusFailed
}

// management serves OMA-DM sessions.
type management struct {
	sessions sessions
	identity *identity.Windows
	chunks   *chunks
	url      string
	// name is the DNS name of the management host, "" when there is none of its own.
	name string
	// stranger is the secret of the nonces that devices which are not enrolled are challenged with, one for each: an answer does not tell who is.
	stranger string
	now      func() time.Time
	log      *slog.Logger
}

// ManagementHandler serves management sessions. It never answers 401: a proof that is missing or wrong is told in SyncML.
func (w *Windows) ManagementHandler() (http.Handler, error) {
	who, err := identity.NewWindows(identity.Options{CAs: w.CAs, Chains: &identity.Chains{}, Now: w.Now, Log: w.Log}, w.Config.Windows.Authentication)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+pathManagement, &management{
		sessions: w.Fleet, identity: who, chunks: newChunks(w.Now), url: w.managementURL(), name: serverconfig.DNSName(w.Config.Windows.ManagementHost),
		stranger: rand.Text(), now: w.Now, log: w.Log,
	})
	return mux, nil
}

// Register adds all endpoints to mux. On the management host, if there is one, there is nothing but management; it is on the main host too, for PCs that
// enrolled before there was another one.
func (w *Windows) Register(mux *http.ServeMux) error {
	management, err := w.ManagementHandler()
	if err != nil {
		return err
	}
	enrollment := w.EnrollmentHandler()
	mux.Handle("/api/mdm/microsoft/", enrollment)
	mux.Handle(pathWellKnown, enrollment)
	mux.Handle(pathManagement, management)
	if name := serverconfig.DNSName(w.Config.Windows.ManagementHost); name != "" {
		mux.Handle(name+"/", management)
	}
	return nil
}

func (h *management) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !identity.ReadBody(w, r, maxMessage) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the message broke off", http.StatusBadRequest)
		return
	}
	m, err := wire.DecodeSyncML(body)
	if err != nil {
		h.log.Info("refused a message that is no SyncML", "bytes", len(body)) // the error may quote it
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := h.answer(r.Context(), h.evidence(r, body), m)
	if err != nil {
		h.postpone(w, err)
		return
	}
	content := answer.Encode()
	w.Header().Set("Content-Type", wire.ContentTypeSyncML)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // a device that hung up sends the message again
}

// postpone asks a device to come back with the same message.
func (h *management) postpone(w http.ResponseWriter, err error) {
	status, level := http.StatusServiceUnavailable, slog.LevelError
	if errors.Is(err, errBusy) {
		status, level = http.StatusTooManyRequests, slog.LevelWarn
	}
	h.log.Log(context.Background(), level, "a management message could not be taken", "err", err)
	w.Header().Set("Retry-After", retryAfter)
	http.Error(w, "the server cannot take the message now", status)
}

func (h *management) evidence(r *http.Request, body []byte) identity.Evidence {
	e := identity.Evidence{Header: r.Header, Body: body, TLS: h.clientCertificate(r)}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		e.Peer = from.Addr().Unmap()
	}
	return e
}

// clientCertificate is that of the handshake, if this was for the management host: the only place where the server asks for it.
func (h *management) clientCertificate(r *http.Request) *x509.Certificate {
	if h.name == "" || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || serverconfig.DNSName(r.TLS.ServerName) != h.name || serverconfig.DNSName(r.Host) != h.name {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// answer makes the reply. An error is one that the device should come back after: nothing was changed.
func (h *management) answer(ctx context.Context, e identity.Evidence, m *wire.Message) (*wire.Message, error) {
	if c := m.Header.Cred; c != nil {
		var err error
		if e.Credentials, err = h.credentials(ctx, m.Header.Source); err != nil {
			return nil, err
		}
		e.Cred = &identity.Cred{Type: c.Type, Data: c.Data}
	}
	id, by, err := h.identity.Identify(e)
	if err != nil {
		h.log.Info("refused a device's message", "err", err)
		return h.challenge(ctx, m, e.Credentials)
	}
	whole, err := h.chunks.join(id.EnrollmentID, m)
	if err != nil {
		return nil, err
	}
	orders, err := h.sessions.Manage(ctx, id, m.Header.Source, by, whole.told)
	switch {
	case errors.Is(err, fleet.ErrUnavailable):
		return nil, err
	case err != nil:
		h.log.Info("turned a device away", "err", err)
		return h.reply(m, wire.Command{Data: refusalOf(err)}).end(), nil
	}
	header := wire.Command{Data: wire.StatusAuthenticated}
	if by == adminapi.AuthDigest {
		header = wire.Command{Data: wire.StatusOK, Chal: h.nextNonce(m.Header.Source, e.Credentials)}
	}
	return h.reply(m, header).answer(whole, orders), nil
}

// challenge asks for a digest, or for another one.
func (h *management) challenge(ctx context.Context, m *wire.Message, known *fleet.DigestCredentials) (*wire.Message, error) {
	status := wire.StatusInvalidCredentials
	if m.Header.Cred == nil {
		status = wire.StatusMissingCredentials
		var err error
		if known, err = h.credentials(ctx, m.Header.Source); err != nil {
			return nil, err
		}
	}
	return h.reply(m, wire.Command{Data: status, Chal: h.nextNonce(m.Header.Source, known)}).end(), nil
}

// credentials returns nil for a device that is not enrolled.
func (h *management) credentials(ctx context.Context, deviceID string) (*fleet.DigestCredentials, error) {
	known, err := h.sessions.DigestCredentials(ctx, deviceID)
	if errors.Is(err, fleet.ErrNotEnrolled) {
		return nil, nil
	}
	return known, err
}

func (h *management) nextNonce(deviceID string, known *fleet.DigestCredentials) *wire.Chal {
	secret := h.stranger + deviceID
	if known != nil {
		secret = known.Secret
	}
	nonce := identity.DigestNonce(secret, h.now())
	return &wire.Chal{Type: identity.DigestMD5, Format: "b64", NextNonce: base64.StdEncoding.EncodeToString(nonce)}
}

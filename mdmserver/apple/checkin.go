package apple

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/micromdm/nanolib/log"
	nanohttp "github.com/micromdm/nanomdm/http"
	mdmhttp "github.com/micromdm/nanomdm/http/mdm"
	"github.com/micromdm/nanomdm/mdm"
	"github.com/micromdm/nanomdm/service"
	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/internal/xmlplist"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// protocol implements nanomdm's service.CheckinAndCommandService on fleet.
type protocol struct {
	fleet Fleet
	log   *slog.Logger
}

var _ service.CheckinAndCommandService = (*protocol)(nil)

// checkinHandler is nanomdm's handler behind the bounds that its decoder lacks. It gets no logger, for it logs whole messages.
func (p *protocol) checkinHandler() http.Handler {
	next := mdmhttp.CheckinHandler(p, log.NopLogger)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := nanohttp.ReadAllAndReplaceBody(r)
		if err == nil {
			err = xmlplist.Check(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// speaker is who sent a message: the identity that signed it and the channel that it names. Whether the two belong together is fleet's
// to decide.
type speaker struct {
	ctx context.Context
	id  fleet.Identity
	ch  fleet.Channel
}

// hear calls do for the speaker of a message and gives the error its HTTP status.
func (p *protocol) hear(r *mdm.Request, message string, e *mdm.Enrollment, do func(speaker) error) error {
	ch, err := channel(e)
	if err == nil {
		id, _ := identity.FromContext(r.Context())
		err = do(speaker{r.Context(), id, ch})
	}
	if err == nil {
		return nil
	}
	return service.NewHTTPStatusError(logged(r.Context(), p.log, message, err), err)
}

// maxID bounds the ids of channels, in bytes.
const maxID = 255

var channelKinds = map[mdm.EnrollType]fleet.ChannelKind{
	mdm.Device:               fleet.ChannelDevice,
	mdm.User:                 fleet.ChannelUser,
	mdm.UserEnrollmentDevice: fleet.ChannelUserEnrollmentDevice,
	mdm.UserEnrollment:       fleet.ChannelUserEnrollment,
	mdm.SharediPad:           fleet.ChannelSharedIPad,
}

// channel names the enrolment channel as nanomdm does. A device's id with a colon in it is refused: it could be read as another
// device's user channel.
func channel(e *mdm.Enrollment) (fleet.Channel, error) {
	resolved := e.Resolved()
	if resolved.Validate() != nil {
		return fleet.Channel{}, fmt.Errorf("%w: it names no device", errMalformed)
	}
	ch := fleet.Channel{ID: resolved.DeviceChannelID, DeviceID: resolved.DeviceChannelID, Kind: channelKinds[resolved.Type]}
	if resolved.IsUserChannel {
		ch.ID += ":" + resolved.UserChannelID
	}
	switch {
	case strings.Contains(ch.DeviceID, ":"), len(ch.ID) > maxID:
		return fleet.Channel{}, fmt.Errorf("%w: it names no valid device", errMalformed)
	case resolved.IsUserChannel && resolved.UserChannelID == "":
		return fleet.Channel{}, fmt.Errorf("%w: it names no user", errMalformed)
	}
	return ch, nil
}

// Authenticate begins an enrolment or a renewal; fleet tells which.
func (p *protocol) Authenticate(r *mdm.Request, m *mdm.Authenticate) error {
	return p.hear(r, "Authenticate", &m.Enrollment, func(s speaker) error {
		if !s.ch.IsDevice() {
			return fmt.Errorf("%w: a user does not authenticate", errMalformed)
		}
		facts, err := decodeFacts(m.Raw)
		if err != nil {
			return err
		}
		return p.fleet.Authenticate(s.ctx, s.id, s.ch, facts, m.Topic)
	})
}

// TokenUpdate says where the channel is woken and completes its enrolment.
func (p *protocol) TokenUpdate(r *mdm.Request, m *mdm.TokenUpdate) error {
	return p.hear(r, "TokenUpdate", &m.Enrollment, func(s speaker) error {
		push := fleet.PushInfo{Token: m.Token, Magic: m.PushMagic, Topic: m.Topic}
		if len(push.Token) == 0 || push.Magic == "" {
			return fmt.Errorf("%w: it has no push token or magic", errMalformed)
		}
		var more struct{ AwaitingConfiguration bool }
		if err := xmlplist.Unmarshal(m.Raw, &more); err != nil {
			return fmt.Errorf("%w: AwaitingConfiguration is not a boolean", errMalformed)
		}
		return p.fleet.TokenUpdate(s.ctx, s.id, s.ch, push, m.UnlockToken, more.AwaitingConfiguration)
	})
}

// CheckOut ends the channel's enrolment.
func (p *protocol) CheckOut(r *mdm.Request, m *mdm.CheckOut) error {
	return p.hear(r, "CheckOut", &m.Enrollment, func(s speaker) error {
		return p.fleet.CheckOut(s.ctx, s.id, s.ch)
	})
}

// SetBootstrapToken stores the token; an empty one deletes it.
func (p *protocol) SetBootstrapToken(r *mdm.Request, m *mdm.SetBootstrapToken) error {
	return p.hear(r, "SetBootstrapToken", &m.Enrollment, func(s speaker) error {
		return p.fleet.SetBootstrapToken(s.ctx, s.id, s.ch, m.BootstrapToken.BootstrapToken)
	})
}

// GetBootstrapToken returns nil, an empty body, when there is none.
func (p *protocol) GetBootstrapToken(r *mdm.Request, m *mdm.GetBootstrapToken) (out *mdm.BootstrapToken, err error) {
	err = p.hear(r, "GetBootstrapToken", &m.Enrollment, func(s speaker) error {
		token, err := p.fleet.BootstrapToken(s.ctx, s.id, s.ch)
		if len(token) > 0 {
			out = &mdm.BootstrapToken{BootstrapToken: token}
		}
		return err
	})
	return out, err
}

// UserAuthenticate admits a user without asking for the password: it answers the first message with an empty DigestChallenge, upon which
// the device sends a second one with its response (MDM protocol reference, "UserAuthenticate").
func (p *protocol) UserAuthenticate(r *mdm.Request, m *mdm.UserAuthenticate) (out []byte, err error) {
	err = p.hear(r, "UserAuthenticate", &m.Enrollment, func(s speaker) error {
		if s.ch.IsDevice() {
			return fmt.Errorf("%w: it names no user", errMalformed)
		}
		if err := p.fleet.AllowUserChannel(s.ctx, s.id, s.ch); err != nil || m.DigestResponse != "" {
			return err
		}
		var err error
		out, err = plist.Marshal(struct{ DigestChallenge string }{})
		return err
	})
	return out, err
}

// GetToken has no service to get a token for, Managed Apple Accounts and watch pairing need Apple Business Manager: 404.
func (p *protocol) GetToken(r *mdm.Request, m *mdm.GetToken) (*mdm.GetTokenResponse, error) {
	return nil, p.decline(r, "GetToken", &m.Enrollment)
}

// DeclarativeManagement is answered 404, as for a declaration that does not exist. A device asks only after a command to do so.
func (p *protocol) DeclarativeManagement(r *mdm.Request, m *mdm.DeclarativeManagement) ([]byte, error) {
	return nil, p.decline(r, "DeclarativeManagement", &m.Enrollment)
}

func (p *protocol) decline(r *mdm.Request, message string, e *mdm.Enrollment) error {
	return p.hear(r, message, e, func(s speaker) error {
		if err := p.fleet.Verify(s.ctx, s.id, s.ch); err != nil {
			return err
		}
		return errNotOffered
	})
}

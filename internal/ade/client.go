package ade

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	depclient "github.com/micromdm/nanodep/client"
	"github.com/micromdm/nanodep/godep"
)

const (
	// DefaultURL is Apple's service.
	DefaultURL = "https://mdmenrollment.apple.com"
	userAgent  = "KubeMDM/1"
	// deadline bounds a call, the renewal of its session included.
	deadline = 60 * time.Second
	// name is what nanodep tells sessions of servers by; a Client has one.
	name = "server"
)

var errURL = errors.New("the URL of Apple's enrolment service must be https://HOST or https://HOST:PORT, without user, path and query")

// Options are what a Client needs besides its token. The zero value is for the service of Apple, with the system's roots and clock.
type Options struct {
	// URL has the scheme https and a host, no path; "" is DefaultURL.
	URL string
	// Roots verify the service's certificate; nil is the system's.
	Roots *x509.CertPool
	// UserAgent names the program, as PRODUCT/VERSION; Apple refuses calls without any.
	UserAgent string
	// Now is what Apple's clock is compared with when it refuses a signature.
	Now func() time.Time
}

// Client talks to Apple's service with one token. It has one session, which is renewed by itself and lost with the Client, and makes one call at a
// time: several goroutines may use it. It needs no closing.
type Client struct {
	token Token
	now   func() time.Time
	dep   *godep.Client
	turn  chan struct{}
}

// New returns a client. It sends nothing.
func New(t Token, o Options) (*Client, error) {
	if bad := t.missing(); len(bad) > 0 {
		return nil, incomplete(bad)
	}
	base, err := url.Parse(cmp.Or(o.URL, DefaultURL))
	if err != nil || base.Scheme != "https" || base.Host == "" || strings.Trim(base.Path, "/") != "" || base.User != nil || base.RawQuery != "" {
		return nil, errURL
	}
	c := &Client{token: t, now: o.Now, turn: make(chan struct{}, 1)}
	if c.now == nil {
		c.now = time.Now
	}
	keys := &credentials{baseURL: (&url.URL{Scheme: base.Scheme, Host: base.Host, Path: "/"}).String(), tokens: depclient.OAuth1Tokens{
		ConsumerKey: t.ConsumerKey, ConsumerSecret: t.ConsumerSecret, AccessToken: t.AccessToken, AccessSecret: t.AccessSecret, AccessTokenExpiry: t.Expiry,
	}}
	c.dep = godep.NewClient(keys, godep.WithClient(newHTTPClient(o.Roots)), godep.WithUserAgent(cmp.Or(o.UserAgent, userAgent)))
	return c, nil
}

// call makes one call; what says in words for people what it is for. The error is a *Failure.
func (c *Client) call(ctx context.Context, what, method, path string, in, out any) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return c.failure(what, exchange{}, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var last exchange
	err := c.dep.Do(context.WithValue(ctx, exchangeKey{}, &last), name, method, path, in, out)
	if err != nil {
		return c.failure(what, last, err)
	}
	return nil
}

// Account is the organisation and the MDM server that a token belongs to.
type Account struct {
	ServerName, ServerUUID                                    string
	OrganizationName, OrganizationID                          string
	OrganizationEmail, OrganizationPhone, OrganizationAddress string
	// OrganizationType is org or edu.
	OrganizationType string
	// AdminID is the account of the person who downloaded the token.
	AdminID string
}

// Account asks whose token it is.
func (c *Client) Account(ctx context.Context) (Account, error) {
	var out struct {
		ServerName  text `json:"server_name"`
		ServerUUID  text `json:"server_uuid"`
		Name        text `json:"org_name"`
		ID          text `json:"org_id"`
		Email       text `json:"org_email"`
		Phone       text `json:"org_phone"`
		Address     text `json:"org_address"`
		Type        text `json:"org_type"`
		Admin       text `json:"admin_id"`
		LegacyAdmin text `json:"facilitator_id"`
	}
	if err := c.call(ctx, "asking for the account", http.MethodGet, "/account", nil, &out); err != nil {
		return Account{}, err
	}
	return Account{
		ServerName: string(out.ServerName), ServerUUID: string(out.ServerUUID), OrganizationName: string(out.Name), OrganizationID: string(out.ID),
		OrganizationEmail: string(out.Email), OrganizationPhone: string(out.Phone), OrganizationAddress: string(out.Address),
		OrganizationType: string(out.Type), AdminID: string(cmp.Or(out.Admin, out.LegacyAdmin)),
	}, nil
}

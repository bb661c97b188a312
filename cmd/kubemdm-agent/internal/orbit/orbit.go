// Package orbit is the agent's client of a server.
package orbit

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/kubemdm/kubemdm/internal/agentapi"
)

const (
	// timeout bounds one call.
	timeout = 30 * time.Second
	// maxAnswer and maxMessage are in bytes.
	maxAnswer  = 64 << 10
	maxMessage = 512
)

// StatusError is an answer that is no success.
type StatusError struct {
	Status int
	// RetryAfter is how long the server asks for patience; 0 if it does not.
	RetryAfter time.Duration
	// Message is what the server says of it.
	Message string
}

func (e *StatusError) Error() string {
	text := "the server answered with HTTP status " + strconv.Itoa(e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Refused is true for an error with which the server said that it does not know the secret or the node key.
func Refused(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Status == http.StatusUnauthorized
}

// RetryAfter is how long the server asked for patience; 0 if it did not.
func RetryAfter(err error) time.Duration {
	var status *StatusError
	if !errors.As(err, &status) {
		return 0
	}
	return status.RetryAfter
}

// Client calls one server.
type Client struct {
	base *url.URL
	http *http.Client
}

// ParseServer checks the address of a server: https, a host, and nothing more.
func ParseServer(server string) (*url.URL, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no address of a server, such as https://mdm.example.com", server)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// New returns the client of the server at an address that ParseServer accepts. roots nil stands for those that Windows trusts.
func New(server string, roots *x509.CertPool) (*Client, error) {
	base, err := ParseServer(server)
	if err != nil {
		return nil, err
	}
	return &Client{base: base, http: &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			ForceAttemptHTTP2: true,
			IdleConnTimeout:   2 * time.Minute,
		},
		// A redirect would take the secret to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Enroll returns the node key.
func (c *Client) Enroll(ctx context.Context, in agentapi.EnrollRequest) (string, error) {
	var out agentapi.EnrollReply
	if err := c.post(ctx, agentapi.PathEnroll, in, &out); err != nil {
		return "", fmt.Errorf("enrolling the agent: %w", err)
	}
	if out.NodeKey == "" {
		return "", errors.New("enrolling the agent: the server gave no node key")
	}
	return out.NodeKey, nil
}

// Config asks what there is to do.
func (c *Client) Config(ctx context.Context, nodeKey string) (agentapi.Notifications, error) {
	var out agentapi.ConfigReply
	if err := c.post(ctx, agentapi.PathConfig, agentapi.ConfigRequest{NodeKey: nodeKey}, &out); err != nil {
		return agentapi.Notifications{}, fmt.Errorf("asking for work: %w", err)
	}
	return out.Notifications, nil
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(agentapi.HeaderCapabilities, agentapi.CapabilityWindowsSync)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return &StatusError{Status: res.StatusCode, RetryAfter: retryAfter(res.Header), Message: message(answer)}
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the answer is none of a KubeMDM server: %w", err)
	}
	return nil
}

// retryAfter reads the header in its form of seconds, the only one that the server sends.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// message is what the server says for people, on one line of a log. A proxy's page of HTML says nothing.
func message(answer []byte) string {
	var problem agentapi.Problem
	if json.Unmarshal(answer, &problem) != nil {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, problem.Message)
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "")
	}
	return text
}

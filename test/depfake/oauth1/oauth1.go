// Package oauth1 verifies requests that are signed by OAuth 1.0 (RFC 5849) with HMAC-SHA1 in the Authorization header. It is written from the
// RFC alone and with the standard library only, so that a client's signature is checked by a second hand.
package oauth1

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what the protocol has
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Problem is why a request is refused.
type Problem struct {
	// Status is 400 for a request that is wrong in itself, 401 for one that is not authentic.
	Status int
	// Name is one of the names of the OAuth Problem Reporting extension, such as signature_invalid.
	Name string
	// Detail is for people.
	Detail string
}

func (p *Problem) Error() string { return p.Name + ": " + p.Detail }

func malformed(name, detail string) *Problem { return &Problem{http.StatusBadRequest, name, detail} }
func refused(name, detail string) *Problem   { return &Problem{http.StatusUnauthorized, name, detail} }

// Credentials are what the signature of a consumer's token is made with.
type Credentials struct {
	ConsumerSecret, TokenSecret string
}

// Verifier verifies requests. It is safe for concurrent use.
type Verifier struct {
	// Realm must be that of a request that names one.
	Realm string
	// Skew is how far a timestamp may be off.
	Skew time.Duration
	Now  func() time.Time
	// Find returns the secrets of a consumer key and a token, or a problem with status 401.
	Find func(consumerKey, token string) (Credentials, *Problem)

	mu     sync.Mutex
	nonces map[string]time.Time // what was used until when it must be kept
}

// The parameters of a request; oauth_version may be missing (RFC 5849, section 3.1).
var required = []string{"oauth_consumer_key", "oauth_token", "oauth_signature_method", "oauth_timestamp", "oauth_nonce", "oauth_signature"}

// Verify returns the consumer key of an authentic request. The request must have no form in its body.
func (v *Verifier) Verify(r *http.Request) (string, *Problem) {
	realm, params, err := parseHeader(r.Header.Values("Authorization"))
	if err != nil {
		return "", malformed("parameter_rejected", err.Error())
	}
	values := map[string]string{}
	for _, p := range params {
		if _, twice := values[p.name]; twice {
			return "", malformed("parameter_rejected", p.name+" is there twice")
		}
		if !slices.Contains(required, p.name) && p.name != "oauth_version" {
			return "", malformed("parameter_rejected", p.name+" is unknown")
		}
		values[p.name] = p.value
	}
	if problem := v.checkParameters(realm, values); problem != nil {
		return "", problem
	}
	key, token := values["oauth_consumer_key"], values["oauth_token"]
	secrets, problem := v.Find(key, token)
	if problem != nil {
		return "", problem
	}
	base, err := BaseString(r, nil)
	if err != nil {
		return "", malformed("parameter_rejected", err.Error())
	}
	if !hmac.Equal([]byte(Sign(base, secrets)), []byte(values["oauth_signature"])) {
		return "", refused("signature_invalid", "the signature is not the one of "+base)
	}
	return key, v.useNonce(key, token, values["oauth_timestamp"], values["oauth_nonce"])
}

func (v *Verifier) checkParameters(realm string, values map[string]string) *Problem {
	for _, name := range required {
		if values[name] == "" {
			return malformed("parameter_absent", name+" is missing")
		}
	}
	version, hasVersion := values["oauth_version"]
	at, err := strconv.ParseInt(values["oauth_timestamp"], 10, 64)
	off := v.Now().Sub(time.Unix(at, 0)).Abs()
	switch {
	case realm != "" && realm != v.Realm:
		return malformed("parameter_rejected", "the realm is not "+v.Realm)
	case hasVersion && version != "1.0":
		return malformed("version_rejected", "oauth_version is not 1.0")
	case values["oauth_signature_method"] != "HMAC-SHA1":
		return malformed("signature_method_rejected", "the signature method is not HMAC-SHA1")
	case err != nil || at <= 0:
		return malformed("parameter_rejected", "oauth_timestamp is no positive number")
	case off > v.Skew:
		return refused("timestamp_refused", fmt.Sprintf("the timestamp is off by %s", off))
	}
	return nil
}

// useNonce refuses a nonce that was used with the same timestamp, key and token (RFC 5849, section 3.3).
func (v *Verifier) useNonce(parts ...string) *Problem {
	for i := range parts {
		parts[i] = Escape(parts[i])
	}
	used := strings.Join(parts, "&")
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.Now()
	if v.nonces == nil {
		v.nonces = map[string]time.Time{}
	}
	for nonce, until := range v.nonces {
		if now.After(until) {
			delete(v.nonces, nonce)
		}
	}
	if _, twice := v.nonces[used]; twice {
		return refused("nonce_used", "the nonce was used before")
	}
	v.nonces[used] = now.Add(2 * v.Skew)
	return nil
}

type parameter struct{ name, value string }

// parseHeader reads RFC 5849, section 3.5.1. The realm is no parameter.
func parseHeader(headers []string) (realm string, params []parameter, err error) {
	if len(headers) != 1 {
		return "", nil, fmt.Errorf("there are %d Authorization headers", len(headers))
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "OAuth") {
		return "", nil, fmt.Errorf("the Authorization header is not of the scheme OAuth")
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, quoted, found := strings.Cut(strings.TrimSpace(part), "=")
		value, opened := strings.CutPrefix(quoted, `"`)
		value, closed := strings.CutSuffix(value, `"`)
		if !found || !opened || !closed || strings.Contains(value, `"`) {
			return "", nil, fmt.Errorf("%q is not of the form name=\"value\"", part)
		}
		if strings.EqualFold(name, "realm") {
			realm = value
			continue
		}
		p := parameter{}
		if p.name, err = unescape(name); err != nil {
			return "", nil, err
		}
		if p.value, err = unescape(value); err != nil {
			return "", nil, err
		}
		params = append(params, p)
	}
	return realm, params, nil
}

// unescape wants exactly the encoding that Escape makes, so that a client which escapes too much or too little is found out.
func unescape(text string) (string, error) {
	plain, err := url.PathUnescape(text)
	if err == nil && Escape(plain) != text {
		err = fmt.Errorf("%q is not encoded as in section 3.6", text)
	}
	return plain, err
}

// BaseString is what is signed (RFC 5849, section 3.4.1): of the request's method, URL, Authorization header and, if its body is a form, the form.
func BaseString(r *http.Request, form url.Values) (string, error) {
	_, params, err := parseHeader(r.Header.Values("Authorization"))
	if err != nil {
		return "", err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	pairs := make([]string, 0, len(params))
	for _, p := range params {
		if p.name != "oauth_signature" {
			pairs = append(pairs, Escape(p.name)+"="+Escape(p.value))
		}
	}
	for _, source := range []url.Values{query, form} {
		for name, values := range source {
			for _, value := range values {
				pairs = append(pairs, Escape(name)+"="+Escape(value))
			}
		}
	}
	// Sorted by encoded name, then by encoded value: = sorts before all that may be in a name but -, . and the digits.
	slices.SortFunc(pairs, func(a, b string) int {
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		return slices.Compare([]string{nameA, valueA}, []string{nameB, valueB})
	})
	return strings.ToUpper(r.Method) + "&" + Escape(baseURI(r)) + "&" + Escape(strings.Join(pairs, "&")), nil
}

// baseURI is RFC 5849, section 3.4.1.2.
func baseURI(r *http.Request) string {
	scheme, port := "http", ":80"
	if r.TLS != nil {
		scheme, port = "https", ":443"
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + strings.TrimSuffix(strings.ToLower(r.Host), port) + path
}

// Sign is RFC 5849, section 3.4.2.
func Sign(base string, c Credentials) string {
	mac := hmac.New(sha1.New, []byte(Escape(c.ConsumerSecret)+"&"+Escape(c.TokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Escape is RFC 5849, section 3.6.
func Escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

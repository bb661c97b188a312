package ade

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/micromdm/nanodep/godep"
)

const (
	// maxSkew is how far the clock of a signature may be off (Apple refuses older and younger ones).
	maxSkew = 5 * time.Minute
	// maxWait bounds what Apple may ask to wait.
	maxWait = 24 * time.Hour
	// maxWords bounds what is repeated of an answer, and maxHeard what is looked at for that, in bytes.
	maxWords, maxHeard = 300, 64 << 10
)

// code is a word of Apple's for a trouble.
var code = regexp.MustCompile(`\b[A-Z][A-Z0-9_]{4,63}\b`)

// answer is what the failure of a call is made of.
type answer struct {
	what string
	exchange
	err error
	// code and words are Apple's; both are empty if a web page came instead.
	code, words string
	web         bool
	date, now   time.Time
	wait        time.Duration
	expiry      time.Time
}

// judgements are tried in this order.
var judgements = []struct {
	kind    Kind
	holds   func(a answer) bool
	message func(a answer) string
}{
	{Terms, answer.terms, func(answer) string {
		return "Apple works on only when the organisation has accepted the new terms and conditions (T_C_NOT_SIGNED): let an administrator sign in " +
			"at https://business.apple.com or https://school.apple.com and accept them; no new token is needed"
	}},
	{Throttled, answer.throttled, func(a answer) string {
		return fmt.Sprintf("Apple takes no more calls for now (HTTP %d); it is asked again later%s", a.status, a.waiting())
	}},
	{Unavailable, answer.unavailable, answer.outage},
	{ClockSkewed, answer.skewed, func(a answer) string {
		return fmt.Sprintf("Apple does not take the signature, and the clocks differ: Apple's says %s, this one %s: correct the clock of the node (NTP)",
			stamp(a.date), stamp(a.now))
	}},
	{Revoked, answer.revoked, answer.worthless},
	{CursorExhausted, func(a answer) bool { return godep.IsCursorExhausted(a.err) }, func(answer) string {
		return "Apple has no more devices after this cursor (EXHAUSTED_CURSOR)"
	}},
	{CursorExpired, func(a answer) bool { return godep.IsCursorExpired(a.err) }, func(answer) string {
		return "the cursor is older than seven days (EXPIRED_CURSOR): all devices are fetched anew"
	}},
	{CursorInvalid, func(a answer) bool { return godep.IsCursorInvalid(a.err) || a.code == "CURSOR_REQUIRED" }, func(answer) string {
		return "Apple does not know the cursor (INVALID_CURSOR): all devices are fetched anew"
	}},
	{ProfileNotFound, answer.noProfile, func(answer) string {
		return "Apple does not know the profile (any more): it is defined anew"
	}},
	{Refused, func(answer) bool { return true }, func(a answer) string {
		return fmt.Sprintf("Apple refuses (HTTP %d): %s; correct what it names", a.status, cmp.Or(a.words, "it does not say why"))
	}},
}

// failure says what went wrong in a call whose last answer and error are given.
func (c *Client) failure(what string, last exchange, err error) *Failure {
	a := answer{what: what, exchange: last, err: err, now: c.now().UTC(), expiry: c.token.Expiry}
	a.date, _ = http.ParseTime(last.header.Get("Date"))
	a.wait = a.retryAfter()
	body := bytes.TrimSpace(last.body)
	if a.web = bytes.HasPrefix(body, []byte("<")); !a.web && last.status != http.StatusOK {
		a.words = c.printable(body, last.session)
		a.code = code.FindString(a.words)
	}
	for _, j := range judgements {
		if j.holds(a) {
			f := &Failure{Kind: j.kind, Status: last.status, Code: a.code, RetryAfter: a.wait, Message: what + ": " + j.message(a)}
			if last.status == 0 {
				f.cause = err
			}
			return f
		}
	}
	return nil // the last one holds always
}

func (a answer) terms() bool { return a.code == "T_C_NOT_SIGNED" }

func (a answer) throttled() bool {
	return a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable && a.wait > 0 || strings.HasPrefix(a.code, "THROTTLE")
}

func (a answer) unavailable() bool {
	return a.status < 400 || a.status >= 500 || a.web && a.status != http.StatusUnauthorized
}

func (a answer) skewed() bool {
	return a.status == http.StatusUnauthorized && !a.date.IsZero() && a.date.Sub(a.now).Abs() > maxSkew
}

func (a answer) revoked() bool {
	denied := a.code == "ACCESS_DENIED" && a.path != pathDisown // to disown is a right of its own
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden && (a.code == "FORBIDDEN" || denied)
}

func (a answer) noProfile() bool {
	return strings.HasPrefix(a.path, "/profile") && strings.HasSuffix(a.code, "NOT_FOUND")
}

// outage says why there is no answer of the service.
func (a answer) outage() string {
	switch {
	case errors.Is(a.err, errTooLong):
		return "the answer has more than 32 MiB: check the URL, and that no proxy on the way answers in place of Apple"
	case a.status == 0:
		var at *url.Error
		if errors.As(a.err, &at) {
			return fmt.Sprintf("Apple's service cannot be reached: %v: check the network, the proxy and its certificate; it is tried again", at.Err)
		}
		return fmt.Sprintf("Apple's service cannot be reached: %v: check the network, the proxy and its certificate; it is tried again", a.err)
	case a.web:
		return fmt.Sprintf("a web page came instead of an answer (HTTP %d): check the URL, and that no proxy on the way answers in place of Apple; "+
			"it is tried again", a.status)
	case a.status == http.StatusOK:
		return "the answer is not what Apple documents: check the URL, and that no proxy on the way answers in place of Apple; it is tried again"
	case a.status < 400:
		return fmt.Sprintf("the answer (HTTP %d) sends the call elsewhere, which is not followed: check the URL", a.status)
	}
	return fmt.Sprintf("Apple's service is out of order (HTTP %d); it is tried again%s", a.status, a.waiting())
}

// worthless says why Apple does not take a token.
func (a answer) worthless() string {
	const cure = "download a new token for this MDM server at https://business.apple.com or https://school.apple.com and put it into the Secret"
	if !a.expiry.After(a.now) {
		return fmt.Sprintf("the token expired at %s: %s", stamp(a.expiry), cure)
	}
	said := ""
	if a.words != "" {
		said = fmt.Sprintf(", %s", a.words)
	}
	return fmt.Sprintf("Apple does not take the token any more (HTTP %d%s): a newer one was downloaded, the MDM server was deleted at Apple, "+
		"or the person who downloaded the token left or changed the password: %s", a.status, said, cure)
}

func (a answer) waiting() string {
	if a.wait == 0 {
		return ""
	}
	return fmt.Sprintf(", in %s", a.wait)
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3).
func (a answer) retryAfter() time.Duration {
	value := a.header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return bounded(time.Duration(seconds) * time.Second)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	from := a.date
	if from.IsZero() {
		from = a.now
	}
	return bounded(at.Sub(from))
}

// bounded is a wait that makes sense.
func bounded(wait time.Duration) time.Duration { return min(max(wait, 0), maxWait) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// printable is the beginning of what Apple said, without what is secret, should it repeat that.
func (c *Client) printable(body []byte, session string) string {
	said := string(body[:min(len(body), maxHeard)])
	for _, secret := range []string{c.token.ConsumerSecret, c.token.AccessSecret, c.token.AccessToken, c.token.ConsumerKey, session} {
		if secret != "" {
			said = strings.ReplaceAll(said, secret, "(secret)")
		}
	}
	said = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return ' '
	}, said)
	return strings.ToValidUTF8(said[:min(len(said), maxWords)], "")
}

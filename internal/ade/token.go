package ade

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// maxJSON bounds a token in JSON, and maxField one of its strings, in bytes; a real one has about four hundred in all.
const maxJSON, maxField = 16 << 10, 2 << 10

// Token is what Apple's service knows this MDM server by. All of it but the expiry is secret.
type Token struct {
	// ConsumerKey names the MDM server at Apple: a renewed token of the same server has the same.
	ConsumerKey, ConsumerSecret string
	AccessToken, AccessSecret   string
	Expiry                      time.Time
}

// String keeps a token out of logs.
func (Token) String() string { return "server token (not shown)" }

// GoString keeps a token out of logs.
func (t Token) GoString() string { return t.String() }

// tokenJSON is a token as Apple writes it.
type tokenJSON struct {
	ConsumerKey    string `json:"consumer_key"`
	ConsumerSecret string `json:"consumer_secret"`
	AccessToken    string `json:"access_token"`
	AccessSecret   string `json:"access_secret"`
	Expiry         string `json:"access_token_expiry"`
}

// ParseToken reads a token in Apple's JSON. The error is a *Refusal; a token that has expired is none.
func ParseToken(text []byte) (Token, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, byteOrderMark))
	var in tokenJSON
	if len(text) > maxJSON || json.Unmarshal(text, &in) != nil { // the decoder's words may repeat a value
		return Token{}, unreadable("the token is not the JSON that Apple writes")
	}
	t := Token{
		ConsumerKey: in.ConsumerKey, ConsumerSecret: in.ConsumerSecret, AccessToken: in.AccessToken, AccessSecret: in.AccessSecret,
		Expiry: parseTime(in.Expiry),
	}
	if bad := t.missing(); len(bad) > 0 {
		return Token{}, incomplete(bad)
	}
	return t, nil
}

func incomplete(members []string) error {
	return &Refusal{ReasonTokenIncomplete, fmt.Sprintf("the token lacks a usable %s: %s", strings.Join(members, ", "), downloadAgain)}
}

// missing names the members that are absent, or could not be sent.
func (t Token) missing() []string {
	var names []string
	for _, f := range []struct{ name, value string }{
		{"consumer_key", t.ConsumerKey}, {"consumer_secret", t.ConsumerSecret}, {"access_token", t.AccessToken}, {"access_secret", t.AccessSecret},
	} {
		if f.value == "" || len(f.value) > maxField || strings.ContainsFunc(f.value, outsideASCII) {
			names = append(names, f.name)
		}
	}
	if t.Expiry.IsZero() {
		names = append(names, "access_token_expiry")
	}
	return names
}

// outsideASCII says of a character that credentials of OAuth never have it.
func outsideASCII(r rune) bool { return r <= ' ' || r > '~' }

// Marshal writes a token in Apple's JSON, as ParseToken reads it.
func (t Token) Marshal() ([]byte, error) {
	return json.Marshal(tokenJSON{t.ConsumerKey, t.ConsumerSecret, t.AccessToken, t.AccessSecret, t.Expiry.UTC().Format(time.RFC3339)})
}

// timeLayouts are the forms of ISO 8601 in which Apple's service was seen to write times.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateOnly}

// parseTime returns the zero time for what is none.
func parseTime(text string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() >= 1970 && t.UTC().Year() <= 9999 {
			return t.UTC()
		}
	}
	return time.Time{}
}

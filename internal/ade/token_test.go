package ade_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/ade"
)

func TestTokensAreReadAsTheyAreWritten(t *testing.T) {
	text, err := token.Marshal()
	if err != nil || string(text) != tokenJSON {
		t.Errorf("%v\n%s", err, text)
	}
	if got, err := ade.ParseToken(text); err != nil || got != token {
		t.Errorf("%v, %#v", err, got)
	}
}

func TestForms(t *testing.T) {
	for form, expiry := range map[string]time.Time{
		"2028-01-26T16:24:00Z": token.Expiry, "2028-01-26T17:24:00+01:00": token.Expiry, "2028-01-26T17:24:00+0100": token.Expiry,
		"2028-01-26T16:24:00": token.Expiry, "2028-01-26": time.Date(2028, 1, 26, 0, 0, 0, 0, time.UTC),
	} {
		got, err := ade.ParseToken([]byte(" " + strings.Replace(tokenJSON, "2028-01-26T16:24:00Z", form, 1) + "\n"))
		if err != nil || !got.Expiry.Equal(expiry) {
			t.Errorf("%s: %v, %s", form, err, got.Expiry)
		}
	}
}

func TestExpiredTokensAreRead(t *testing.T) {
	if _, err := ade.ParseToken([]byte(strings.Replace(tokenJSON, "2028", "2018", 1))); err != nil {
		t.Error(err)
	}
}

func TestIncompleteTokens(t *testing.T) {
	for name, c := range map[string]struct{ text, reason, says string }{
		"empty":           {"", ade.ReasonTokenUnreadable, "JSON"},
		"cut":             {tokenJSON[:100], ade.ReasonTokenUnreadable, "JSON"},
		"more than JSON":  {tokenJSON + tokenJSON, ade.ReasonTokenUnreadable, "JSON"},
		"a number":        {strings.Replace(tokenJSON, `"CS_34c7b2b531a600d9"`, "7", 1), ade.ReasonTokenUnreadable, "JSON"},
		"nothing":         {"{}", ade.ReasonTokenIncomplete, "consumer_key, consumer_secret, access_token, access_secret, access_token_expiry"},
		"no expiry":       {strings.Replace(tokenJSON, "2028", "soon", 1), ade.ReasonTokenIncomplete, "usable access_token_expiry:"},
		"a line break":    {strings.Replace(tokenJSON, "CS_34", `CS_34\n`, 1), ade.ReasonTokenIncomplete, "usable consumer_secret:"},
		"a long secret":   {strings.Replace(tokenJSON, "CS_34", strings.Repeat("a", 4000), 1), ade.ReasonTokenIncomplete, "usable consumer_secret:"},
		"a very long one": {strings.Replace(tokenJSON, "CS_34", strings.Repeat("a", 1<<20), 1), ade.ReasonTokenUnreadable, "JSON"},
	} {
		got, err := ade.ParseToken([]byte(c.text))
		var refusal *ade.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != c.reason || !strings.Contains(refusal.Message, c.says) || got != (ade.Token{}) {
			t.Errorf("%s: %v, want %s that says %q", name, err, c.reason, c.says)
			continue
		}
		if strings.Contains(refusal.Message, "34c7") {
			t.Errorf("%s: the message tells of the token: %s", name, refusal.Message)
		}
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{token, &token, []ade.Token{token}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "CS_") || strings.Contains(text, "AT_") {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
	}
}

package convert_test

import (
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/controllers/internal/convert"
)

func TestTextIsBoundedInCharacters(t *testing.T) {
	for in, want := range map[string]string{
		"":           "",
		"abcd":       "abcd",
		"abcde":      "abcd",
		"äöüß+":      "äöüß",
		"a\xffb\x80": "ab",
	} {
		if got := convert.Text(in, 4); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTimeIsInSeconds(t *testing.T) {
	if convert.Time(time.Time{}) != nil {
		t.Error("the zero time is a time")
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	if got := convert.Time(at); !got.Time.Equal(at.Truncate(time.Second)) {
		t.Errorf("%v", got)
	}
}

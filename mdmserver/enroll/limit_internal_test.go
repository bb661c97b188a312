package enroll

import (
	"fmt"
	"testing"
	"time"
)

func TestWrongCodesCountByNetwork(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := newLimit(func() time.Time { return now })
	for range wrongBurst {
		for _, from := range []string{"192.0.2.1:1000", "[2001:db8::1]:1000"} {
			if l.exceeded(from) {
				t.Fatalf("%s tried too often already", from)
			}
			l.wrong(from)
		}
	}
	for from, want := range map[string]bool{
		"192.0.2.1:2000": true, "[::ffff:192.0.2.1]:1": true, "192.0.2.2:1000": false,
		"[2001:db8::ffff:1]:1": true, "[2001:db8:0:1::1]:1": false, "[fe80::1%eth0]:1": false, "@": false, "": false,
	} {
		if got := l.exceeded(from); got != want {
			t.Errorf("%q tried too often: %v", from, got)
		}
	}
	now = now.Add(wrongEvery)
	if l.exceeded("192.0.2.1:1") {
		t.Error("one more is not allowed after a while")
	}
	l.wrong("192.0.2.1:1")
	if !l.exceeded("192.0.2.1:1") {
		t.Error("more than one more is allowed")
	}
}

func TestTheMemoryOfWrongCodesIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := newLimit(func() time.Time { return now })
	for range wrongBurst {
		l.wrong("192.0.2.1:1")
	}
	for i := range 2 * maxNetworks {
		l.wrong(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff))
	}
	if len(l.until) > maxNetworks {
		t.Errorf("it remembers %d networks", len(l.until))
	}
	if !l.exceeded("192.0.2.1:1") {
		t.Error("many who tried once made it forget who tried too often")
	}
}

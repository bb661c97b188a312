package agent_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/orbit"
	"github.com/kubemdm/kubemdm/internal/agentapi"
)

func TestAnAgentEnrolsOnceAndPolls(t *testing.T) {
	w := &world{}
	w.runs(t, time.Hour)
	if len(w.enrolments) != 1 || w.enrolments[0] != 0 || w.key != "key" {
		t.Errorf("enrolments at %v, key %q", w.enrolments, w.key)
	}
	if w.claim != (agentapi.EnrollRequest{EnrollSecret: secret, HardwareUUID: "U", Platform: "windows"}) {
		t.Errorf("claim %+v", w.claim)
	}
	if w.polls[0] != 0 || len(w.polls) < 110 || len(w.polls) > 133 {
		t.Errorf("%d polls in an hour, the first after %v", len(w.polls), w.polls[0])
	}
	pauses := map[time.Duration]bool{}
	for i, at := range w.polls[1:] {
		pause := at - w.polls[i]
		pauses[pause] = true
		if pause < 27*time.Second || pause > 33*time.Second {
			t.Errorf("a pause of %v", pause)
		}
	}
	if len(pauses) < 10 {
		t.Errorf("the pauses do not differ: %v", pauses)
	}
}

func TestAKeptNodeKeyIsUsed(t *testing.T) {
	w := &world{key: "kept"}
	w.runs(t, time.Minute)
	if len(w.enrolments) != 0 || len(w.polls) == 0 {
		t.Errorf("enrolments at %v, polls at %v", w.enrolments, w.polls)
	}
}

func TestANodeKeyThatTheServerDoesNotKnowIsForgotten(t *testing.T) {
	w := &world{key: "old", configError: &orbit.StatusError{Status: 401}}
	w.runs(t, time.Hour)
	if len(w.enrolments) == 0 || w.enrolments[0] > 33*time.Second {
		t.Errorf("enrolments at %v", w.enrolments)
	}
	if len(w.enrolments) > 10 {
		t.Errorf("%d enrolments in an hour at a server that knows none of them", len(w.enrolments))
	}
}

// Only a 401 says that the key is worth nothing.
func TestTroubleIsNoReasonToForgetTheNodeKey(t *testing.T) {
	for _, err := range []error{&orbit.StatusError{Status: 503}, &orbit.StatusError{Status: 403}, &orbit.StatusError{Status: 404}, errors.New("no route to host")} {
		w := &world{key: "kept", configError: err}
		w.runs(t, time.Hour)
		if w.key != "kept" || len(w.enrolments) != 0 {
			t.Errorf("%v: key %q, enrolments at %v", err, w.key, w.enrolments)
		}
	}
}

func TestPollsThatFailBecomeRare(t *testing.T) {
	for name, w := range map[string]*world{
		"config": {key: "kept", configError: errors.New("no route to host")},
		"enrol":  {enrolError: &orbit.StatusError{Status: 401}},
	} {
		w.runs(t, 6*time.Hour)
		calls := w.polls
		if name == "enrol" {
			calls = w.enrolments
		}
		if n := len(calls); n < 20 || n > 33 {
			t.Errorf("%s: %d tries in 6 hours", name, n)
		}
		if last := calls[len(calls)-1] - calls[len(calls)-2]; last < 13*time.Minute || last > 17*time.Minute {
			t.Errorf("%s: the last pause is %v", name, last)
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, tc := range []struct{ asked, atLeast, atMost time.Duration }{
		{5 * time.Minute, 5 * time.Minute, 6 * time.Minute},
		{time.Second, 27 * time.Second, 33 * time.Second},
		{100 * time.Hour, time.Hour, 72 * time.Minute},
	} {
		w := &world{key: "kept", configError: &orbit.StatusError{Status: 429, RetryAfter: tc.asked}}
		w.runs(t, 2*time.Hour)
		if pause := w.polls[1] - w.polls[0]; pause < tc.atLeast || pause > tc.atMost {
			t.Errorf("asked for %v: %v", tc.asked, pause)
		}
	}
}

func TestWindowsIsAskedToEnrol(t *testing.T) {
	w := &world{work: enrol}
	w.runs(t, 90*time.Minute)
	if w.url != discoveryURL || w.token != `{"type":1,"payload":{"orbit_node_key":"key","auth_token":""}}` {
		t.Errorf("URL %q, token %q", w.url, w.token)
	}
	if n := len(w.registered); n != 2 || w.registered[0] != 0 || w.registered[1] < time.Hour {
		t.Errorf("asked at %v", w.registered)
	}
}

func TestWindowsIsAskedAgainAfterAFailureLaterAndLater(t *testing.T) {
	w := &world{work: enrol, windowsError: errors.New("0x80180010: the server cannot be reached")}
	w.runs(t, 6*time.Hour)
	n := len(w.registered)
	if n < 8 || n > 14 || w.registered[1] > 2*time.Minute {
		t.Errorf("asked at %v", w.registered)
	}
	if last := w.registered[n-1] - w.registered[n-2]; last < time.Hour || last > 61*time.Minute {
		t.Errorf("the last pause is %v", last)
	}
	if !strings.Contains(w.log.String(), "0x80180010") {
		t.Errorf("the log does not say why:\n%s", &w.log)
	}
}

func TestWindowsIsAskedToLeaveAndToStartSessions(t *testing.T) {
	for name, tc := range map[string]struct {
		work               agentapi.Notifications
		register, leave, n int
	}{
		"nothing to do":               {},
		"enrol without a URL":         {work: agentapi.Notifications{Enroll: true}},
		"leave":                       {work: unenrol, leave: 1},
		"enrol goes before leave":     {work: agentapi.Notifications{Enroll: true, DiscoveryURL: discoveryURL, Unenroll: true}, register: 1},
		"a session, not at each poll": {work: wake, n: 10},
	} {
		w := &world{work: tc.work}
		w.runs(t, 10*time.Minute+time.Second)
		sessions := len(w.sessions)
		if len(w.registered) != tc.register || len(w.unregistered) != tc.leave || sessions > tc.n || sessions < tc.n/2 {
			t.Errorf("%s: registered %v, unregistered %v, sessions %v", name, w.registered, w.unregistered, w.sessions)
		}
	}
}

func TestTheEndDoesNotWaitForWindows(t *testing.T) {
	w := &world{work: enrol, busy: true}
	w.runs(t, time.Minute)
	if len(w.registered) != 1 || len(w.polls) != 1 {
		t.Errorf("registered %v, polls %v", w.registered, w.polls)
	}
}

func TestTheLogNamesNoSecret(t *testing.T) {
	for _, w := range []*world{
		{work: enrol},
		{work: enrol, windowsError: errors.New("0x80180010")},
		{configError: &orbit.StatusError{Status: 401}},
		{enrolError: &orbit.StatusError{Status: 403}},
	} {
		w.runs(t, time.Hour)
		for _, word := range []string{secret, `"key"`, "orbit_node_key"} {
			if strings.Contains(w.log.String(), word) {
				t.Errorf("the log says %s:\n%s", word, &w.log)
			}
		}
		if w.log.Len() == 0 {
			t.Error("nothing is logged")
		}
	}
}

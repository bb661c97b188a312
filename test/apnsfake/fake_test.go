package apnsfake_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sideshow/apns2"

	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/pki"
)

const topic = "com.apple.mgmt.External.1"

var token = bytes.Repeat([]byte{0xab}, 32)

func client(t *testing.T, ca *pki.CA, leaf pki.Leaf) *http.Client {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		RootCAs: ca.Pool(), Certificates: []tls.Certificate{ca.Issue(t, leaf)},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// An independent client of Apple's service must get along with the fake.
func TestAnIndependentClientIsServed(t *testing.T) {
	ca := pki.NewCA(t, "apple")
	fake, url := apnsfake.Start(t, ca)
	var magic string
	fake.OnPush(func(_ []byte, m string) { magic = m })
	ended := time.Now().Add(-time.Hour).Truncate(time.Second)
	fake.Script(token, apnsfake.Answer{}, apnsfake.Unregistered(ended), apnsfake.Refused(http.StatusBadRequest, apns2.ReasonBadDeviceToken))

	c := &apns2.Client{Host: url, HTTPClient: client(t, ca, pki.Leaf{CN: "push", UID: topic})}
	push := func() *apns2.Response {
		t.Helper()
		res, err := c.Push(&apns2.Notification{
			DeviceToken: hex.EncodeToString(token), Topic: topic, PushType: apns2.PushTypeMDM, Priority: apns2.PriorityHigh,
			Expiration: time.Now().Add(time.Hour), Payload: []byte(`{"mdm":"magic"}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := push(); !res.Sent() || res.ApnsID == "" || magic != "magic" {
		t.Errorf("first push: %+v, magic %q", res, magic)
	}
	if res := push(); res.StatusCode != http.StatusGone || res.Reason != apns2.ReasonUnregistered || !res.Timestamp.Equal(ended) {
		t.Errorf("second push: %+v, want 410 at %v", res, ended)
	}
	if res := push(); res.StatusCode != http.StatusBadRequest || res.Reason != apns2.ReasonBadDeviceToken {
		t.Errorf("third push: %+v", res)
	}
	if got := fake.Accepted(token); got != 1 {
		t.Errorf("accepted %d pushes, want 1", got)
	}
	if got := fake.Outcomes(); got["200"] != 1 || got["410 Unregistered"] != 1 || got["400 BadDeviceToken"] != 1 {
		t.Errorf("outcomes %v", got)
	}
}

// What Apple would refuse is refused for Apple's reason.
func TestBadPushesAreRefused(t *testing.T) {
	ca := pki.NewCA(t, "apple")
	fake, url := apnsfake.Start(t, ca)
	good := client(t, ca, pki.Leaf{CN: "push", UID: topic})
	for name, tc := range map[string]struct {
		change func(*http.Request)
		body   string
		status int
		reason string
	}{
		"no topic":        {func(r *http.Request) { r.Header.Del("apns-topic") }, "", 400, "MissingTopic"},
		"another topic":   {func(r *http.Request) { r.Header.Set("apns-topic", "com.apple.mgmt.2") }, "", 400, "TopicDisallowed"},
		"alert push":      {func(r *http.Request) { r.Header.Set("apns-push-type", "alert") }, "", 400, "InvalidPushType"},
		"no expiration":   {func(r *http.Request) { r.Header.Del("apns-expiration") }, "", 400, "BadExpirationDate"},
		"expired already": {func(r *http.Request) { r.Header.Set("apns-expiration", "1") }, "", 400, "BadExpirationDate"},
		"no priority":     {func(r *http.Request) { r.Header.Del("apns-priority") }, "", 400, "BadPriority"},
		"short token":     {func(r *http.Request) { r.URL.Path = "/3/device/abcd" }, "", 400, "BadDeviceToken"},
		"not hexadecimal": {func(r *http.Request) { r.URL.Path = "/3/device/" + strings.Repeat("z", 64) }, "", 400, "BadDeviceToken"},
		"another path":    {func(r *http.Request) { r.URL.Path = "/push" }, "", 404, "BadPath"},
		"GET":             {func(r *http.Request) { r.Method = http.MethodGet }, "", 405, "MethodNotAllowed"},
		"more in body":    {nil, `{"mdm":"m","aps":"x"}`, 400, "BadPayload"},
		"empty magic":     {nil, `{"mdm":""}`, 400, "BadPayload"},
		"two bodies":      {nil, `{"mdm":"m"}{"mdm":"m"}`, 400, "BadPayload"},
		"large body":      {nil, `{"mdm":"` + strings.Repeat("m", 5000) + `"}`, 400, "BadPayload"},
	} {
		t.Run(name, func(t *testing.T) {
			body := tc.body
			if body == "" {
				body = `{"mdm":"m"}`
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/3/device/"+hex.EncodeToString(token), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("apns-topic", topic)
			r.Header.Set("apns-push-type", "mdm")
			r.Header.Set("apns-priority", "10")
			r.Header.Set("apns-expiration", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
			if tc.change != nil {
				tc.change(r)
			}
			res, err := good.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var answer struct{ Reason string }
			if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tc.status || answer.Reason != tc.reason {
				t.Errorf("got %d %s, want %d %s", res.StatusCode, answer.Reason, tc.status, tc.reason)
			}
		})
	}
	if got := fake.Accepted(token); got != 0 {
		t.Errorf("%d bad pushes were accepted", got)
	}
}

func TestStrangersAreTurnedAway(t *testing.T) {
	ca := pki.NewCA(t, "apple")
	_, url := apnsfake.Start(t, ca)
	stranger := pki.NewCA(t, "other").Issue(t, pki.Leaf{CN: "push", UID: topic})
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &stranger, nil
		}}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/3/device/"+hex.EncodeToString(token), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := c.Do(r); err == nil {
		res.Body.Close()
		t.Errorf("a certificate of another CA was answered %s", res.Status)
	}
}

// Devices of another process wait at the control endpoint; pushes while nobody waits are kept as one.
func TestControlTellsOfPushes(t *testing.T) {
	ca := pki.NewCA(t, "apple")
	fake, url := apnsfake.Start(t, ca)
	control := httptest.NewServer(fake.Control())
	t.Cleanup(control.Close)
	c := &apns2.Client{Host: url, HTTPClient: client(t, ca, pki.Leaf{CN: "push", UID: topic})}
	push := func() {
		t.Helper()
		n := &apns2.Notification{DeviceToken: hex.EncodeToString(token), Topic: topic, PushType: apns2.PushTypeMDM,
			Priority: apns2.PriorityHigh, Expiration: time.Now().Add(time.Hour), Payload: `{"mdm":"m"}`}
		if res, err := c.PushWithContext(context.Background(), n); err != nil || !res.Sent() {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, control.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := control.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	wait := func(query string) int {
		t.Helper()
		status, _ := get("/control/wait?" + query)
		return status
	}
	query := "token=" + strings.ToUpper(hex.EncodeToString(token))
	push()
	push()
	if got := wait(query + "&timeout=30s"); got != http.StatusOK {
		t.Errorf("after pushes: %d", got)
	}
	if got := wait(query + "&timeout=1ms"); got != http.StatusNoContent {
		t.Errorf("with nothing new: %d", got)
	}
	answered := make(chan int)
	go func() { answered <- wait(query + "&timeout=30s") }()
	push()
	if got := <-answered; got != http.StatusOK {
		t.Errorf("while waiting: %d", got)
	}
	want := fmt.Sprintf("{%q:3}\n", hex.EncodeToString(token))
	if status, got := get("/control/accepted"); status != http.StatusOK || got != want {
		t.Errorf("accepted: %d %q, want %q", status, got, want)
	}
	for _, bad := range []string{"token=xyz&timeout=1s", "timeout=1s", query, query + "&timeout=-1s"} {
		if got := wait(bad); got != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, got)
		}
	}
}

package depfake_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what OAuth signs with
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake"
)

// clock is a clock that is set by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bench is a fake and a client of its own for it.
type bench struct {
	*depfake.Server
	clock   *clock
	http    *http.Client
	token   depfake.Token
	session string      // that the client has
	header  http.Header // in place of good ones
}

// newBench starts a fake by whose chances nothing happens.
func newBench(t *testing.T, o depfake.Options) *bench {
	t.Helper()
	c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.Now
	o.Rotate, o.Duplicate = cmp.Or(o.Rotate, -1), cmp.Or(o.Duplicate, -1)
	s := depfake.Start(t, o)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &bench{Server: s, clock: c, token: s.Token(), http: &http.Client{Transport: transport, Timeout: 10 * time.Second}, header: http.Header{}}
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// code is the error of an answer.
func (a answer) code(t *testing.T) string {
	t.Helper()
	var code string
	if err := json.Unmarshal(a.body, &code); err != nil {
		t.Fatalf("%d %q is no quoted string", a.status, a.body)
	}
	return code
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatal(err)
	}
}

// send makes one request with the session that the client has. It fails the test only where no request can be made.
func (b *bench) send(ctx context.Context, method, path, body string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, b.URL+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("User-Agent", "depfake-test/1")
	r.Header.Set("X-Server-Protocol-Version", "7")
	r.Header.Set("X-ADM-Auth-Session", b.session)
	if body != "" || path == "/session" {
		r.Header.Set("Content-Type", "application/json;charset=UTF8")
	}
	for name, values := range b.header {
		r.Header[name] = values
	}
	res, err := b.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if next := res.Header.Get("X-ADM-Auth-Session"); next != "" {
		b.session = next
	}
	return answer{res.StatusCode, res.Header, content}, err
}

func (b *bench) do(t *testing.T, method, path, body string) answer {
	t.Helper()
	a, err := b.send(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// login asks for a session with a signature of RFC 5849 that owes nothing to the fake's own code.
func (b *bench) login(t *testing.T) answer {
	t.Helper()
	b.header.Set("Authorization", b.sign(rand.Text()))
	defer b.header.Del("Authorization")
	a := b.do(t, http.MethodGet, "/session", "")
	var session struct {
		Token string `json:"auth_session_token"`
	}
	if a.status == http.StatusOK {
		a.decode(t, &session)
		b.session = session.Token
	}
	return a
}

func (b *bench) sign(nonce string) string {
	values := url.Values{"oauth_consumer_key": {b.token.ConsumerKey}, "oauth_token": {b.token.AccessToken}, "oauth_nonce": {nonce},
		"oauth_signature_method": {"HMAC-SHA1"}, "oauth_timestamp": {strconv.FormatInt(b.clock.Now().Unix(), 10)}, "oauth_version": {"1.0"}}
	// What is signed has no character that the two ways to encode write differently.
	base := "GET&" + url.QueryEscape(b.URL+"/session") + "&" + url.QueryEscape(values.Encode())
	mac := hmac.New(sha1.New, []byte(b.token.ConsumerSecret+"&"+b.token.AccessSecret))
	mac.Write([]byte(base))
	values.Set("oauth_signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	parts := []string{`realm="ADM"`}
	for name := range values {
		parts = append(parts, name+`="`+url.QueryEscape(values.Get(name))+`"`)
	}
	return "OAuth " + strings.Join(parts, ", ")
}

// loggedIn is newBench with a session.
func loggedIn(t *testing.T, o depfake.Options) *bench {
	t.Helper()
	b := newBench(t, o)
	if a := b.login(t); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return b
}

// page is one answer of a list.
type page struct {
	Cursor       string
	MoreToFollow bool `json:"more_to_follow"`
	Devices      []record
}

type record struct {
	depfake.Device
	Op     string    `json:"op_type"`
	OpAt   time.Time `json:"op_date"`
	Status string    `json:"response_status"`
}

func listBody(cursor string, limit int) string {
	fields := map[string]any{}
	if cursor != "" {
		fields["cursor"] = cursor
	}
	if limit > 0 {
		fields["limit"] = limit
	}
	b, _ := json.Marshal(fields)
	return string(b)
}

// all follows a list to its end.
func (b *bench) all(t *testing.T, path, cursor string) (records []record, next string, pages int) {
	t.Helper()
	for {
		var p page
		b.do(t, http.MethodPost, path, listBody(cursor, 100)).decode(t, &p)
		records, cursor, pages = append(records, p.Devices...), p.Cursor, pages+1
		if !p.MoreToFollow {
			return records, cursor, pages
		}
	}
}

// replay applies changes to what is known, as a client must.
func replay(known map[string]depfake.Device, changes []record) {
	latest := map[string]time.Time{}
	for _, r := range changes {
		if r.OpAt.Before(latest[r.SerialNumber]) {
			continue
		}
		latest[r.SerialNumber] = r.OpAt
		if r.Op == "deleted" {
			delete(known, r.SerialNumber)
		} else {
			known[r.SerialNumber] = r.Device
		}
	}
}

func devices(prefix string, n int) []depfake.Device {
	list := make([]depfake.Device, n)
	for i := range list {
		list[i].SerialNumber = prefix + strconv.Itoa(i)
	}
	return list
}

func serials(devices []depfake.Device) []string {
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.SerialNumber
	}
	slices.Sort(names)
	return names
}

func jsonText(t *testing.T, value any) string {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// newKey makes the pair whose certificate is uploaded.
func newKey(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "kubemdm"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

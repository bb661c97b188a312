package oauth1_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake/oauth1"
)

// request makes a request as a server sees it.
func request(method, target, authorization string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Authorization", authorization)
	if strings.HasPrefix(target, "https:") {
		r.TLS = &tls.ConnectionState{}
	}
	return r
}

// The base string of RFC 5849, section 3.4.1.1, with the client's nonce and timestamp of section 3.4.1.3.1.
func TestTheBaseStringOfTheRFC(t *testing.T) {
	r := request(http.MethodPost, "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", `OAuth realm="Example",
		oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7", oauth_signature_method="HMAC-SHA1",
		oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="djosJKDKJSD8743243%2Fjdk33klY%3D"`)
	const want = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26" +
		"oauth_token%3Dkkk9d7dh3k39sjv7"
	got, err := oauth1.BaseString(r, url.Values{"c2": {""}, "a3": {"2 q"}})
	if err != nil || got != want {
		t.Fatalf("got  %s, %v\nwant %s", got, err, want)
	}
	// Erratum 2550 of the RFC.
	if got := oauth1.Sign(got, oauth1.Credentials{ConsumerSecret: "j49sk3j29djd", TokenSecret: "dh893hdasih9"}); got != "r6/TJjbCOr97/+UU0NsvSne7s5g=" {
		t.Errorf("signature %s", got)
	}
}

// The three requests of RFC 5849, section 1.2, and two examples that were published for clients.
func TestPublishedSignatures(t *testing.T) {
	const consumer = `OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_signature_method="HMAC-SHA1", `
	for name, tc := range map[string]struct {
		method, url, header string
		form                url.Values
		secrets             oauth1.Credentials
		want                string
	}{
		"initiate": {
			method: http.MethodPost, url: "https://photos.example.net/initiate",
			header:  consumer + `oauth_timestamp="137131200", oauth_nonce="wIjqoS", oauth_callback="http%3A%2F%2Fprinter.example.com%2Fready"`,
			secrets: oauth1.Credentials{ConsumerSecret: "kd94hf93k423kf44"}, want: "74KNZJeDHnMBp0EMJ9ZHt/XKycU=",
		},
		"token": {
			method: http.MethodPost, url: "https://photos.example.net/token",
			header:  consumer + `oauth_token="hh5s93j4hdidpola", oauth_timestamp="137131201", oauth_nonce="walatlh", oauth_verifier="hfdp7dh39dks9884"`,
			secrets: oauth1.Credentials{ConsumerSecret: "kd94hf93k423kf44", TokenSecret: "hdhd0244k9j7ao03"}, want: "gKgrFCywp7rO0OXSjdot/IHF7IU=",
		},
		"photo": {
			method: http.MethodGet, url: "http://photos.example.net/photos?file=vacation.jpg&size=original",
			header:  consumer + `oauth_token="nnch734d00sl2jdk", oauth_timestamp="137131202", oauth_nonce="chapoH"`,
			secrets: oauth1.Credentials{ConsumerSecret: "kd94hf93k423kf44", TokenSecret: "pfkkdhi9sl3r4s00"}, want: "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
		},
		"OAuth Core 1.0, appendix A": {
			method: http.MethodGet, url: "http://photos.example.net/photos?file=vacation.jpg&size=original",
			header: consumer + `oauth_token="nnch734d00sl2jdk", oauth_timestamp="1191242096", oauth_nonce="kllo9940pd9333jh", ` +
				`oauth_version="1.0"`,
			secrets: oauth1.Credentials{ConsumerSecret: "kd94hf93k423kf44", TokenSecret: "pfkkdhi9sl3r4s00"}, want: "tR3+Ty81lMeYAr/Fid0kMTYa/WM=",
		},
		"Twitter": {
			method: http.MethodPost, url: "https://api.twitter.com/1/statuses/update.json?include_entities=true",
			header: `OAuth oauth_consumer_key="xvz1evFS4wEEPTGEFPHBog", oauth_nonce="kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", ` +
				`oauth_signature_method="HMAC-SHA1", oauth_timestamp="1318622958", ` +
				`oauth_token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", oauth_version="1.0"`,
			form: url.Values{"status": {"Hello Ladies + Gentlemen, a signed OAuth request!"}},
			secrets: oauth1.Credentials{ConsumerSecret: "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
				TokenSecret: "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"},
			want: "tnnArxj06cWHq44gCs1OSKk/jLY=",
		},
	} {
		t.Run(name, func(t *testing.T) {
			base, err := oauth1.BaseString(request(tc.method, tc.url, tc.header), tc.form)
			if err != nil {
				t.Fatal(err)
			}
			if got := oauth1.Sign(base, tc.secrets); got != tc.want {
				t.Errorf("got %s, want %s for %s", got, tc.want, base)
			}
		})
	}
}

func TestEscape(t *testing.T) {
	if got := oauth1.Escape("aZ09-._~ %+/ü"); got != "aZ09-._~%20%25%2B%2F%C3%BC" {
		t.Error(got)
	}
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newVerifier() *oauth1.Verifier {
	return &oauth1.Verifier{Realm: "ADM", Skew: 5 * time.Minute, Now: func() time.Time { return now },
		Find: func(key, token string) (oauth1.Credentials, *oauth1.Problem) {
			if key != "ck" || token != "at" {
				return oauth1.Credentials{}, &oauth1.Problem{Status: http.StatusUnauthorized, Name: "token_rejected"}
			}
			return oauth1.Credentials{ConsumerSecret: "c s", TokenSecret: "t&s"}, nil
		}}
}

// header signs GET https://apple/session with what the changes say.
func header(t *testing.T, changes map[string]string) string {
	t.Helper()
	values := map[string]string{"oauth_consumer_key": "ck", "oauth_token": "at", "oauth_signature_method": "HMAC-SHA1",
		"oauth_timestamp": strconv.FormatInt(now.Unix(), 10), "oauth_nonce": "n", "oauth_version": "1.0"}
	for name, value := range changes {
		values[name] = value
	}
	parts := []string{`realm="ADM"`}
	for name, value := range values {
		if value != "-" && name != "oauth_signature" {
			parts = append(parts, name+`="`+oauth1.Escape(value)+`"`)
		}
	}
	text := "OAuth " + strings.Join(parts, ", ")
	base, err := oauth1.BaseString(request(http.MethodGet, "https://apple/session", text), nil)
	if err != nil {
		t.Fatal(err)
	}
	signature := oauth1.Sign(base, oauth1.Credentials{ConsumerSecret: "c s", TokenSecret: "t&s"})
	if s, set := changes["oauth_signature"]; set {
		signature = s
	}
	return text + `, oauth_signature="` + oauth1.Escape(signature) + `"`
}

func TestVerify(t *testing.T) {
	good := header(t, nil)
	stamp := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	for name, tc := range map[string]struct {
		header string
		url    string
		status int
		want   string
	}{
		"good":              {header: good},
		"without a version": {header: header(t, map[string]string{"oauth_version": "-"})},
		"without a realm":   {header: strings.Replace(good, `realm="ADM", `, "", 1)},
		"almost too old":    {header: header(t, map[string]string{"oauth_timestamp": stamp(-5 * time.Minute)})},
		"too old": {header: header(t, map[string]string{"oauth_timestamp": stamp(-301 * time.Second)}),
			status: 401, want: "timestamp_refused"},
		"too new": {header: header(t, map[string]string{"oauth_timestamp": stamp(301 * time.Second)}),
			status: 401, want: "timestamp_refused"},
		"no time":         {header: header(t, map[string]string{"oauth_timestamp": "now"}), status: 400, want: "parameter_rejected"},
		"another realm":   {header: strings.Replace(good, "ADM", "ABC", 1), status: 400, want: "parameter_rejected"},
		"another version": {header: header(t, map[string]string{"oauth_version": "2.0"}), status: 400, want: "version_rejected"},
		"another method": {header: header(t, map[string]string{"oauth_signature_method": "PLAINTEXT"}),
			status: 400, want: "signature_method_rejected"},
		"another signature":      {header: header(t, map[string]string{"oauth_signature": "AAAA"}), status: 401, want: "signature_invalid"},
		"another consumer":       {header: header(t, map[string]string{"oauth_consumer_key": "x"}), status: 401, want: "token_rejected"},
		"another URL":            {header: good, url: "https://apple/account", status: 401, want: "signature_invalid"},
		"a query nobody signed":  {header: good, url: "https://apple/session?x=y", status: 401, want: "signature_invalid"},
		"another scheme of URL":  {header: good, url: "http://apple/session", status: 401, want: "signature_invalid"},
		"without a nonce":        {header: header(t, map[string]string{"oauth_nonce": "-"}), status: 400, want: "parameter_absent"},
		"one parameter twice":    {header: good + `, oauth_nonce="n"`, status: 400, want: "parameter_rejected"},
		"a parameter too much":   {header: header(t, map[string]string{"oauth_callback": "x"}), status: 400, want: "parameter_rejected"},
		"encoded without a need": {header: strings.Replace(good, `"ck"`, `"%63k"`, 1), status: 400, want: "parameter_rejected"},
		"without quotes":         {header: strings.Replace(good, `"ck"`, `ck`, 1), status: 400, want: "parameter_rejected"},
		"another scheme":         {header: "Bearer x", status: 400, want: "parameter_rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.url == "" {
				tc.url = "https://apple/session"
			}
			key, problem := newVerifier().Verify(request(http.MethodGet, tc.url, tc.header))
			if tc.want == "" {
				if problem != nil || key != "ck" {
					t.Errorf("%q, %v", key, problem)
				}
				return
			}
			if problem == nil || problem.Name != tc.want || problem.Status != tc.status {
				t.Errorf("%+v, want %d %s", problem, tc.status, tc.want)
			}
		})
	}
}

func TestANonceCountsOnce(t *testing.T) {
	v := newVerifier()
	get := func(h string) *oauth1.Problem {
		_, problem := v.Verify(request(http.MethodGet, "https://apple/session", h))
		return problem
	}
	good := header(t, nil)
	if p := get(header(t, map[string]string{"oauth_signature": "AAAA"})); p == nil {
		t.Fatal("a wrong signature was taken")
	}
	if p := get(good); p != nil {
		t.Errorf("a request that is not authentic used the nonce up: %v", p)
	}
	if p := get(good); p == nil || p.Name != "nonce_used" || p.Status != http.StatusUnauthorized {
		t.Errorf("again: %v", p)
	}
	if p := get(header(t, map[string]string{"oauth_nonce": "m"})); p != nil {
		t.Errorf("another nonce: %v", p)
	}
}

package mdmcert

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
)

// DefaultURL is where the service takes requests.
const DefaultURL = "https://mdmcert.download/api/v1/signrequest"

const (
	// maxAnswer bounds what is read of an answer, in bytes; a real one has less than a hundred.
	maxAnswer = 64 << 10
	// maxReason bounds what is repeated of an answer, in characters.
	maxReason = 200
	// success is the result of a request that was taken.
	success = "success"
)

// ErrNoAPIKey says that the service would not know who asks; nothing was sent.
var ErrNoAPIKey = errors.New("mdmcert.download takes requests with an API key only, and none is given: ask its administrators for one (it is free, see https://mdmcert.download), and give it here")

// Client asks the service.
type Client struct {
	// URL is DefaultURL if it is empty.
	URL string
	// APIKey is one that the service gave to whoever asks: Apple's terms make it count which products ask for certificates, so each has a key of its own,
	// which is free. The keys in the sources of micromdm and Commandment are theirs and not to be taken for another product
	// (https://github.com/jessepeterson/commandment/blob/1352b51ba6697260d1111eccc3a5a0b5b9af60d0/commandment/mdmcert.py#L23-L28).
	APIKey string
	// HTTP sends the request; how long that may take is up to it and to the context. Its CheckRedirect is not used: the request is sent to the
	// host of URL and to no other.
	HTTP *http.Client
}

// ServiceError is an answer by which the service did not take a request.
type ServiceError struct {
	// Status is the status code of HTTP.
	Status int
	// Reason is what the service said, or what is wrong with its answer.
	Reason string
	cure   string
}

func (e *ServiceError) Error() string {
	return fmt.Sprintf("mdmcert.download did not take the request (HTTP %d): %s; %s", e.Status, e.Reason, e.cure)
}

// What a person does about an answer.
const (
	cureRefused  = "correct what it names (the address must be registered and confirmed at https://mdmcert.download/registration), then send the request again"
	cureOutage   = "try again later; if it lasts, sign with a vendor certificate of your own"
	cureStranger = "check the URL, and that no proxy on the way answers in place of the service, then try again later"
	cureMoved    = "the service may have moved: check the URL"
)

// signRequest is the body of a request. CSR and Encrypt are PEM in base64.
type signRequest struct {
	CSR     string `json:"csr"`
	Email   string `json:"email"`
	Key     string `json:"key"`
	Encrypt string `json:"encrypt"`
}

// Request sends a CSR (PKCS#10 in PEM) to be signed. The reply goes by mail to the address, which must be registered with the service, and is
// encrypted for recipient (see NewRecipient). An answer other than success is a *ServiceError.
func (c Client) Request(ctx context.Context, csrPEM []byte, email string, recipient *x509.Certificate) error {
	if c.APIKey = strings.TrimSpace(c.APIKey); c.APIKey == "" { // a Secret made from a file ends with a line break
		return ErrNoAPIKey
	}
	encrypt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: recipient.Raw})
	body, err := json.Marshal(signRequest{
		CSR: base64.StdEncoding.EncodeToString(csrPEM), Email: email, Key: c.APIKey, Encrypt: base64.StdEncoding.EncodeToString(encrypt),
	})
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cmp.Or(c.URL, DefaultURL), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "kubemdm")
	client := *c.HTTP
	client.CheckRedirect = sameHost
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking mdmcert.download: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of mdmcert.download: %w", err)
	}
	return c.judge(res.StatusCode, answer)
}

// sameHost follows redirects that repeat the request (307, 308) at the same host; any other is the answer.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	if req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || req.Method != first.Method || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

func (c Client) judge(status int, body []byte) error {
	var answer struct{ Result, Reason string }
	isJSON := json.Unmarshal(body, &answer) == nil
	refusal := func(reason, cure string) error { return &ServiceError{Status: status, Reason: reason, cure: cure} }
	switch {
	case isJSON && status == http.StatusOK && answer.Result == success:
		return nil
	case isJSON && answer.Reason != "":
		return refusal(fmt.Sprintf("it says %q", c.printable(answer.Reason)), cureRefused)
	case status >= 500:
		return refusal("it is out of order", cureOutage)
	case status >= 300 && status < 400:
		return refusal("it sends the request elsewhere, which is not followed", cureMoved)
	case len(bytes.TrimSpace(body)) == 0:
		return refusal("the answer is empty", cureStranger)
	case bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		return refusal("the answer is a web page", cureStranger)
	case !isJSON:
		return refusal("the answer is not JSON", cureStranger)
	}
	return refusal(fmt.Sprintf("the result is %q, without a reason", c.printable(answer.Result)), cureRefused)
}

// printable is the beginning of what the service said, without the API key, should it repeat that.
func (c Client) printable(text string) string {
	text = strings.ReplaceAll(text, c.APIKey, "(API key)")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	return string([]rune(text)[:min(len([]rune(text)), maxReason)])
}

package mdmcertfake

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/test/applepki"
)

// Path is where requests are taken.
const Path = "/api/v1/signrequest"

// Fault is what the service does in place of its work.
type Fault string

// The faults that were seen at the service, or in front of it.
const (
	None          Fault = ""
	InternalError Fault = "internal error" // 500 without a body
	HTML          Fault = "HTML"           // 200 with a web page
	Empty         Fault = "empty"          // 200 with nothing
	Refusal       Fault = "refusal"        // a result other than success, with a reason
	Hang          Fault = "hang"           // no answer until the client goes
)

// RefusalReason is what Refusal says.
const RefusalReason = "The service is closed for maintenance."

// Config is what the service knows.
type Config struct {
	Apple *applepki.Apple
	Now   func() time.Time
	// Vendor is the vendor certificate that the service signs with.
	Vendor applepki.VendorOptions
	// APIKey is the only one that is taken, Registered the addresses that are.
	APIKey     string
	Registered []string
}

// Fake is the service, an http.Handler. It is safe for concurrent use.
type Fake struct {
	config Config
	leaf   *x509.Certificate
	key    crypto.Signer

	mu      sync.Mutex
	fault   Fault
	mailbox map[string][]string
}

// New makes the service with a vendor certificate of its own.
func New(c Config) (*Fake, error) {
	leaf, key, err := c.Apple.Vendor(c.Vendor)
	if err != nil {
		return nil, fmt.Errorf("becoming a vendor: %w", err)
	}
	return &Fake{config: c, leaf: leaf, key: key, mailbox: map[string][]string{}}, nil
}

// Mailbox returns the attachments (mdm_signed_request....plist.b64.p7) of all mails to an address, the oldest first: hexadecimal text.
func (f *Fake) Mailbox(email string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.mailbox[email])
}

// Fail makes every answer a fault until it is called with None.
func (f *Fake) Fail(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	order, refusal := f.read(w, r)
	switch {
	case fault != None:
		fail(w, r, fault)
	case refusal != nil:
		answer(w, "failure", refusal.Error())
	default:
		f.sign(w, order)
	}
}

func fail(w http.ResponseWriter, r *http.Request, fault Fault) {
	switch fault {
	case InternalError:
		w.WriteHeader(http.StatusInternalServerError)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!DOCTYPE html><html><title>Parked</title></html>")
	case Refusal:
		answer(w, "failure", RefusalReason)
	case Hang:
		<-r.Context().Done()
	}
}

// sign mails the signed request, encrypted.
func (f *Fake) sign(w http.ResponseWriter, o *order) {
	upload, err := f.config.Apple.SignRequest(f.leaf, f.key, o.csr)
	if err == nil {
		upload, err = encrypt(lines(upload), o.recipient)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f.mu.Lock()
	f.mailbox[o.email] = append(f.mailbox[o.email], hex.EncodeToString(upload))
	f.mu.Unlock()
	answer(w, "success", "")
}

// lines breaks base64 into lines of 76 columns that end in CRLF, as mail does.
func lines(text []byte) []byte {
	var out bytes.Buffer
	for line := range slices.Chunk(text, 76) {
		out.Write(line)
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

func answer(w http.ResponseWriter, result, reason string) {
	w.Header().Set("Content-Type", "application/json")
	//nolint:errcheck // the client sees an answer that breaks off
	json.NewEncoder(w).Encode(struct {
		Result string `json:"result"`
		Reason string `json:"reason,omitempty"`
	}{result, reason})
}

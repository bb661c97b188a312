package awsfake

import (
	"crypto/rsa"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// Region of the keys, AccessKey and SecretKey of a caller that needs no role.
const (
	Region    = "eu-central-1"
	AccessKey = "AKIAFAKEFAKEFAKEFAKE"
	SecretKey = "fake-secret"
)

// The usages of a key.
const (
	SignVerify     = "SIGN_VERIFY"
	EncryptDecrypt = "ENCRYPT_DECRYPT"
)

// Faults of the KMS: what AWS calls the error, or Away, for which it answers 500.
const (
	Away         = "KMSInternalException"
	AccessDenied = "AccessDeniedException"
	Disabled     = "DisabledException"
	NotFound     = "NotFoundException"
)

// Fake is both services. KMS is POST / with X-Amz-Target, STS is POST / with a form. It is safe for concurrent use.
type Fake struct {
	mu       sync.Mutex
	keys     map[string]key // by id, ARN and alias
	calls    map[string]int
	fault    string
	sessions map[string]string // session token by access key
	subjects []string
}

type key struct {
	private *rsa.PrivateKey
	usage   string
}

// New returns a fake without keys.
func New() *Fake {
	return &Fake{keys: map[string]key{}, calls: map[string]int{}, sessions: map[string]string{AccessKey: ""}}
}

// ARN is the full name of a key of this id.
func ARN(id string) string { return "arn:aws:kms:" + Region + ":111122223333:key/" + id }

// Put adds a key by its id (a UUID), by its ARN, and by the aliases given (with alias/ in front).
func (f *Fake) Put(id, usage string, private *rsa.PrivateKey, aliases ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range append(aliases, id, ARN(id)) {
		f.keys[name] = key{private, usage}
	}
}

// Fail makes the KMS answer every call with a fault until it is called with "".
func (f *Fake) Fail(fault string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Calls counts the calls by operation, such as Sign, those that failed included.
func (f *Fake) Calls() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.calls)
}

// Subjects lists the subjects of the web identity tokens that credentials were given for.
func (f *Fake) Subjects() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.subjects...)
}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/":
		http.NotFound(w, r)
	case strings.HasPrefix(r.Header.Get("X-Amz-Target"), target):
		f.serveKMS(w, r)
	default:
		f.serveSTS(w, r)
	}
}

// key returns a key by any of its names.
func (f *Fake) key(name string) (key, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.keys[name]
	return k, ok
}

// count counts a call and returns the fault that it must be answered with.
func (f *Fake) count(operation string) (fault string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[operation]++
	return f.fault
}

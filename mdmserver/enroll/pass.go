package enroll

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// passLife is how long a person may take between a code or a sign-in and the download.
	passLife = 10 * time.Minute
	// maxPass bounds a pass in an address, in bytes.
	maxPass = 4096
)

var errPass = errors.New("the address is no pass, or its time is over")

// pass is what somebody has proven. The browser carries it in an address, sealed, so that any replica goes on where another one began, and no address
// that a proxy may log has a token in it. It is as good as its code, for ten minutes.
type pass struct {
	Platform platform
	// Code is what the person entered. Without one the person signed in as Account, and the EnrollmentToken counts.
	Code      string       `json:",omitempty"`
	Token     adminapi.Key `json:",omitempty"`
	Account   string       `json:",omitempty"`
	ExpiresAt time.Time
}

// passContext keeps a pass from being anything else that is sealed.
var passContext = []byte("pass of the enrolment page")

// seal returns the last part of the address of a pass.
func (p *Page) seal(given pass) (string, error) {
	given.ExpiresAt = p.Now().Add(passLife)
	plain, err := json.Marshal(given)
	if err != nil {
		return "", err
	}
	sealed, err := p.Seal.Seal(plain, passContext)
	if err != nil {
		return "", fmt.Errorf("sealing a pass: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open reads the last part of an address. Error: errPass.
func (p *Page) open(part string) (pass, error) {
	given := pass{}
	if len(part) > maxPass {
		return given, errPass
	}
	sealed, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return given, errPass
	}
	plain, err := p.Seal.Open(sealed, passContext)
	if err != nil {
		return given, errPass // the error would show what a stranger sent
	}
	if err := json.Unmarshal(plain, &given); err != nil {
		return given, errPass
	}
	if !p.Now().Before(given.ExpiresAt) {
		return given, errPass
	}
	return given, nil
}

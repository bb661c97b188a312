package identity

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// DigestMD5 is the type of an OMA-DM digest in Cred and Chal (OMA-DM Security 1.2, section 5.3).
const DigestMD5 = "syncml:auth-md5"

const (
	// nonceLife is how long a nonce is handed out; it is accepted for as long again.
	nonceLife = 5 * time.Minute
	nonceSize = 16
)

// Cred is the credential in the header of a SyncML message.
type Cred struct {
	Type, Data string
}

// DigestNonce is the nonce for the next digest of whoever holds the secret. It follows from the secret and the time, so that no challenge needs
// a row and every replica knows each nonce.
func DigestNonce(secret string, at time.Time) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("nonce"))
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/int64(nonceLife/time.Second)) // a hash takes every write
	return mac.Sum(nil)[:nonceSize]
}

var (
	errCredType = errors.New("the credential is no MD5 digest")
	errDigest   = errors.New("the digest is wrong, or made with an old nonce")
)

// verify refuses a credential that was not made with the secret and the nonce of this or of the last five minutes.
func (c Cred) verify(with fleet.DigestCredentials, now time.Time) error {
	if c.Type != DigestMD5 {
		return errCredType
	}
	equal := 0
	for _, at := range []time.Time{now, now.Add(-nonceLife)} {
		want := digest(with.Identity.EnrollmentID, with.Secret, DigestNonce(with.Secret, at))
		equal |= subtle.ConstantTimeCompare([]byte(want), []byte(c.Data))
	}
	if equal == 0 {
		return errDigest
	}
	return nil
}

// digest is B64(MD5(B64(MD5(user:secret)):nonce)).
func digest(user, secret string, nonce []byte) string {
	inner := md5.Sum([]byte(user + ":" + secret))
	outer := md5.Sum(append([]byte(base64.StdEncoding.EncodeToString(inner[:])+":"), nonce...))
	return base64.StdEncoding.EncodeToString(outer[:])
}

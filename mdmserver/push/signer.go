package push

import (
	"crypto"
	"crypto/tls"
	"io"
	"sync"
)

// signer is the key of a certificate that remembers its failures: of a key that makes no signature crypto/tls tells a text only.
type signer struct {
	crypto.Signer

	mu     sync.Mutex
	failed int
	last   error // nil after a signature
}

// watched returns the certificate with a key that is watched.
func watched(cert *tls.Certificate) (*tls.Certificate, *signer) {
	key := &signer{Signer: cert.PrivateKey.(crypto.Signer)}
	presented := *cert
	presented.PrivateKey = key
	return &presented, key
}

// Sign asks the key. It is called once per connection.
func (s *signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.Signer.Sign(random, digest, opts)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
	if err != nil {
		s.failed++
	}
	return signature, err
}

// failures counts the failures until now.
func (s *signer) failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// failedSince returns the last failure if it came after those counted and no signature came after it. An older one says nothing of why a
// connection fails now.
func (s *signer) failedSince(failures int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == failures {
		return nil
	}
	return s.last
}

package push

import (
	"crypto"
	"errors"
	"io"
	"testing"
)

type scripted struct {
	crypto.Signer
	err error
}

func (s *scripted) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, s.err }

// Of two connections that are made at once one may fail for the key and the other one, later, for something else.
func TestASignatureEndsAFailure(t *testing.T) {
	key := &scripted{err: errors.New("away")}
	s := &signer{Signer: key}
	try := func() error {
		before := s.failures()
		_, _ = s.Sign(nil, nil, nil)
		return s.failedSince(before)
	}
	if err := try(); !errors.Is(err, key.err) {
		t.Errorf("got %v", err)
	}
	before := s.failures() - 1
	key.err = nil
	if err := try(); err != nil || s.failedSince(before) != nil {
		t.Errorf("got %v and %v after a signature", err, s.failedSince(before))
	}
}

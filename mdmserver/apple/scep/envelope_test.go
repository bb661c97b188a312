package scep_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"testing"

	"github.com/smallstep/pkcs7"
	scepmsg "github.com/smallstep/scep"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

// sealed is what an envelope is made of; every part can be wrong.
type sealed struct {
	cipher     asn1.ObjectIdentifier
	contentKey []byte
	iv         []byte
	content    []byte
	pieces     bool
	keyCipher  asn1.ObjectIdentifier
	keyPadding bool
}

// seal encrypts padded content in CBC mode with a fixed key.
func seal(t testing.TB, padded []byte, oid asn1.ObjectIdentifier, keySize int) sealed {
	t.Helper()
	s := sealed{cipher: oid, contentKey: bytes.Repeat([]byte{7}, keySize), keyCipher: pkcs7.OIDEncryptionAlgorithmRSA, keyPadding: true}
	newCipher := aes.NewCipher
	if oid.Equal(pkcs7.OIDEncryptionAlgorithmDESEDE3CBC) {
		newCipher = des.NewTripleDESCipher
	}
	block, err := newCipher(s.contentKey)
	if err != nil {
		t.Fatal(err)
	}
	s.iv, s.content = make([]byte, block.BlockSize()), make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, s.iv).CryptBlocks(s.content, padded)
	return s
}

func pad(content []byte, blockSize int) []byte {
	n := blockSize - len(content)%blockSize
	return append(bytes.Clone(content), bytes.Repeat([]byte{byte(n)}, n)...)
}

// encode writes the EnvelopedData for the CA.
func (s sealed) encode(t testing.TB, ca identity.CA) []byte {
	t.Helper()
	public := ca.Key.Public().(*rsa.PublicKey)
	encryptedKey, err := rsa.EncryptPKCS1v15(rand.Reader, public, s.contentKey) //nolint:staticcheck // what clients send
	if err != nil {
		t.Fatal(err)
	}
	if !s.keyPadding {
		encryptedKey = bytes.Repeat([]byte{1}, public.Size())
	}
	content := asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: s.content}
	if s.pieces {
		content.IsCompound, content.Bytes = true, nil
		for _, piece := range [][]byte{s.content[:5], s.content[5:]} {
			content.Bytes = append(content.Bytes, marshal(t, piece)...)
		}
	}
	type recipient struct {
		Version int
		Issued  struct {
			Issuer asn1.RawValue
			Serial *big.Int
		}
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	r := recipient{Algorithm: pkix.AlgorithmIdentifier{Algorithm: s.keyCipher}, Key: encryptedKey}
	r.Issued.Issuer, r.Issued.Serial = asn1.RawValue{FullBytes: ca.Cert.RawIssuer}, ca.Cert.SerialNumber
	inner := marshal(t, struct {
		Version    int
		Recipients []recipient `asn1:"set"`
		Content    struct {
			Type      asn1.ObjectIdentifier
			Algorithm pkix.AlgorithmIdentifier
			Content   asn1.RawValue
		}
	}{
		Recipients: []recipient{r},
		Content: struct {
			Type      asn1.ObjectIdentifier
			Algorithm pkix.AlgorithmIdentifier
			Content   asn1.RawValue
		}{pkcs7.OIDData, pkix.AlgorithmIdentifier{Algorithm: s.cipher, Parameters: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: s.iv}}, content},
	})
	return marshal(t, struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{pkcs7.OIDEnvelopedData, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: inner}})
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestEnvelopesThatOpen(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	c := newClient(t, rsaKey(t, 2048))
	csr := c.csr(t, c.key).Raw
	inPieces := seal(t, pad(csr, 16), pkcs7.OIDEncryptionAlgorithmAES128CBC, 16)
	inPieces.pieces = true
	for name, s := range map[string]sealed{
		"AES-128":    seal(t, pad(csr, 16), pkcs7.OIDEncryptionAlgorithmAES128CBC, 16),
		"AES-256":    seal(t, pad(csr, 16), pkcs7.OIDEncryptionAlgorithmAES256CBC, 32),
		"Triple DES": seal(t, pad(csr, 8), pkcs7.OIDEncryptionAlgorithmDESEDE3CBC, 24),
		"in pieces":  inPieces,
	} {
		t.Run(name, func(t *testing.T) {
			h := server(&challenges{secret: "one-time"}, ca)
			if reply := c.ask(t, h, c.message(t, s.encode(t, ca)), ca.Cert); reply.PKIStatus != scepmsg.SUCCESS {
				t.Errorf("status %s, failInfo %s", reply.PKIStatus, reply.FailInfo)
			}
		})
	}
}

// Whatever is wrong inside of an envelope, the answer is the same: it must not tell an attacker how far the decryption came.
func TestEnvelopesThatDoNotOpenAreAllAnsweredAlike(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	c := newClient(t, rsaKey(t, 2048))
	good := seal(t, pad(c.csr(t, c.key).Raw, 16), pkcs7.OIDEncryptionAlgorithmAES128CBC, 16)
	with := func(change func(*sealed)) sealed {
		s := good
		change(&s)
		return s
	}
	block := bytes.Repeat([]byte{'x'}, 16)
	for name, s := range map[string]sealed{
		"wrong padding of the key":        with(func(s *sealed) { s.keyPadding = false }),
		"key of another length":           with(func(s *sealed) { s.contentKey = s.contentKey[:8] }),
		"no content":                      with(func(s *sealed) { s.content = nil }),
		"content of an odd length":        with(func(s *sealed) { s.content = s.content[:len(s.content)-3] }),
		"short initialisation vector":     with(func(s *sealed) { s.iv = s.iv[:4] }),
		"cipher that is not supported":    with(func(s *sealed) { s.cipher = pkcs7.OIDEncryptionAlgorithmDESCBC }),
		"padding longer than the content": seal(t, append(bytes.Clone(block[:15]), 200), good.cipher, 16),
		"padding of zero":                 seal(t, append(bytes.Clone(block[:15]), 0), good.cipher, 16),
		"padding that is not uniform":     seal(t, append(bytes.Clone(block[:14]), 1, 2), good.cipher, 16),
		"something that is not a request": seal(t, pad(block, 16), good.cipher, 16),
		"nothing but padding":             seal(t, pad(nil, 16), good.cipher, 16),
	} {
		t.Run(name, func(t *testing.T) {
			h := server(&challenges{secret: "one-time"}, ca)
			if info := c.failure(t, h, c.message(t, s.encode(t, ca)), ca.Cert); info != scepmsg.BadMessageCheck {
				t.Errorf("failInfo %s", info)
			}
		})
	}
}

// The reply is encrypted to every certificate of the request; a second one would read it too.
func TestAMessageHasOneCertificate(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	c := newClient(t, rsaKey(t, 2048))
	s := seal(t, pad(c.csr(t, c.key).Raw, 16), pkcs7.OIDEncryptionAlgorithmAES128CBC, 16)
	message := c.message(t, s.encode(t, ca), ca.Cert)
	if res := do(server(&challenges{secret: "one-time"}, ca), http.MethodPost, "operation=PKIOperation", message); res.Code != http.StatusBadRequest {
		t.Errorf("status %d", res.Code)
	}
}

func TestAKeyThatIsNotEncryptedWithRSAHasNoRecipient(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	c := newClient(t, rsaKey(t, 2048))
	s := seal(t, pad(c.csr(t, c.key).Raw, 16), pkcs7.OIDEncryptionAlgorithmAES128CBC, 16)
	s.keyCipher = pkcs7.OIDEncryptionAlgorithmRSAESOAEP
	h := server(&challenges{secret: "one-time"}, ca)
	if info := c.failure(t, h, c.message(t, s.encode(t, ca)), ca.Cert); info != scepmsg.BadCertID {
		t.Errorf("failInfo %s", info)
	}
}

// FuzzEnvelope and FuzzCertificateRequest sign what they are given, so that the faults are found below the signature.
func FuzzEnvelope(f *testing.F) {
	ca := identitytest.CA(f, 1, serverconfig.RoleActive)
	c := newClient(f, rsaKey(f, 2048))
	h := server(&challenges{failure: fleet.ErrChallenge}, ca)
	f.Add(seal(f, pad(c.csr(f, c.key).Raw, 16), pkcs7.OIDEncryptionAlgorithmAES128CBC, 16).encode(f, ca))
	f.Fuzz(func(t *testing.T, envelope []byte) {
		if status := do(h, http.MethodPost, "operation=PKIOperation", c.message(t, envelope)).Code; status >= 500 {
			t.Fatalf("status %d", status)
		}
	})
}

func FuzzCertificateRequest(f *testing.F) {
	ca := identitytest.CA(f, 1, serverconfig.RoleActive)
	c := newClient(f, rsaKey(f, 2048))
	h := server(&challenges{failure: fleet.ErrChallenge}, ca)
	f.Add(c.csr(f, c.key).Raw)
	f.Fuzz(func(t *testing.T, csr []byte) {
		envelope := seal(t, pad(csr, 16), pkcs7.OIDEncryptionAlgorithmAES128CBC, 16).encode(t, ca)
		res := do(h, http.MethodPost, "operation=PKIOperation", c.message(t, envelope))
		if res.Code != http.StatusOK && res.Code != http.StatusRequestEntityTooLarge {
			t.Fatalf("status %d", res.Code)
		}
	})
}

package pushcert

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/micromdm/plist"
)

// Keys of the property list.
const (
	keyCSR       = "PushCertRequestCSR"
	keyChain     = "PushCertCertificateChain"
	keySignature = "PushCertSignature"
)

// Request is a push certificate request: what is uploaded at https://identity.apple.com/pushcert.
type Request struct {
	CSR *x509.CertificateRequest
	// Chain is the vendor's certificate, Apple's intermediate (WWDR) and Apple's root.
	Chain []*x509.Certificate
	// Signature is the vendor's over the DER of the request: RSASSA-PKCS1-v1_5 with SHA-256.
	Signature []byte
}

// Encode returns the file to upload: a property list of three strings, in base64.
func (r *Request) Encode() []byte {
	var chain strings.Builder
	for _, c := range r.Chain {
		chain.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	b, err := plist.Marshal(map[string]string{
		keyCSR:       base64.StdEncoding.EncodeToString(r.CSR.Raw),
		keyChain:     chain.String(),
		keySignature: base64.StdEncoding.EncodeToString(r.Signature),
	})
	if err != nil {
		panic(fmt.Sprintf("encoding three strings: %v", err))
	}
	return []byte(base64.StdEncoding.EncodeToString(b))
}

// ParseRequest reads the file to upload, or the property list in it. It refuses all but the three strings. There is at least one certificate in
// the chain, and the certificate request is signed by its own key; for all else see Check.
func ParseRequest(b []byte) (*Request, error) {
	b, err := checkSize(b)
	if err != nil {
		return nil, err
	}
	text := bytes.TrimSpace(b)
	if !bytes.HasPrefix(text, []byte("<")) {
		if text, err = decodeBase64(string(text)); err != nil {
			return nil, errors.New("it is neither a property list nor base64 of one: give the push certificate request that the vendor made, as it came")
		}
		text = bytes.TrimSpace(bytes.TrimPrefix(text, byteOrderMark))
	}
	if !bytes.HasPrefix(text, []byte("<")) {
		return nil, errors.New("it is no property list: give the push certificate request that the vendor made, not the certificate request or a certificate")
	}
	fields, err := readStrings(text)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{keyCSR, keyChain, keySignature} {
		if fields[key] == "" {
			return nil, fmt.Errorf("its property list has no %s: give the push certificate request that the vendor made", key)
		}
	}
	return parseFields(fields)
}

// element is one in a dictionary.
type element struct {
	XMLName xml.Name
	Text    string     `xml:",chardata"`
	Inside  []struct{} `xml:",any"`
}

// readStrings reads a property list of three strings. Parsers differ in what they make of a key that is there twice, or of what stands where none
// should, so nothing of the kind is let through.
func readStrings(text []byte) (map[string]string, error) {
	var list struct {
		XMLName xml.Name `xml:"plist"`
		Text    string   `xml:",chardata"`
		Dicts   []struct {
			Text     string    `xml:",chardata"`
			Elements []element `xml:",any"`
		} `xml:"dict"`
		Others []struct{} `xml:",any"`
	}
	decoder := xml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&list); err != nil || decoder.InputOffset() != int64(len(text)) {
		return nil, errors.New("its property list is cut or broken: give the file as it came from the vendor")
	}
	errShape := errors.New("its property list holds something else than the three strings that Apple takes: give the push certificate request that the vendor made")
	if len(list.Dicts) != 1 || len(list.Others) > 0 || len(list.Dicts[0].Elements) != 6 || strings.TrimSpace(list.Text+list.Dicts[0].Text) != "" {
		return nil, errShape
	}
	fields := map[string]string{}
	for i, e := range list.Dicts[0].Elements {
		if e.XMLName.Local != [2]string{"key", "string"}[i%2] || len(e.Inside) > 0 {
			return nil, errShape
		}
		if i%2 == 1 {
			fields[list.Dicts[0].Elements[i-1].Text] = e.Text
		}
	}
	return fields, nil
}

func parseFields(fields map[string]string) (*Request, error) {
	der, err := decodeBase64(fields[keyCSR])
	if err != nil {
		return nil, fmt.Errorf("%s is no base64", keyCSR)
	}
	r := &Request{}
	if r.CSR, err = parseCSR(der); err != nil {
		return nil, fmt.Errorf("%s: %w", keyCSR, err)
	}
	if r.Chain, err = ReadCertificates([]byte(fields[keyChain])); err != nil {
		return nil, fmt.Errorf("%s: %w", keyChain, err)
	}
	if r.Signature, err = decodeBase64(fields[keySignature]); err != nil {
		return nil, fmt.Errorf("%s is no base64", keySignature)
	}
	return r, nil
}

// decodeBase64 takes line breaks of any kind and spaces as people's mail programs leave them.
func decodeBase64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}

// Check says whether Apple would take the request.
func (r *Request) Check(now time.Time) *Refusal {
	if refusal := r.checkChain(now); refusal != nil {
		return refusal
	}
	sum := sha256.Sum256(r.CSR.Raw)
	if rsa.VerifyPKCS1v15(r.Chain[0].PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], r.Signature) != nil {
		return &Refusal{ReasonRequestSignatureInvalid, fmt.Sprintf("the signature is not one of %q over the certificate request with SHA-256: have the vendor sign it again", r.Chain[0].Subject.CommonName)}
	}
	return nil
}

func (r *Request) checkChain(now time.Time) *Refusal {
	if len(r.Chain) == 0 {
		return &Refusal{ReasonRequestMalformed, "there is no vendor certificate in it: have the vendor sign it again"}
	}
	refusal := checkChain(r.Chain, now)
	if refusal == nil {
		return nil
	}
	// The reason may be the order alone.
	for _, c := range r.Chain {
		if isVendorCertificate(c) && checkChain(chainOf(c, r.Chain), now) == nil {
			return &Refusal{ReasonRequestMalformed, "its certificates have to be the vendor's, Apple's intermediate and Apple's root in this order and no others: have the vendor sign it again"}
		}
	}
	return refusal
}

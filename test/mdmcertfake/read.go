package mdmcertfake

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// maxBody bounds a request in bytes.
const maxBody = 64 << 10

// order is a request that may be signed. The CSR is in DER.
type order struct {
	csr       []byte
	email     string
	recipient *x509.Certificate
}

// read returns the order of a request, or why there is none.
func (f *Fake) read(w http.ResponseWriter, r *http.Request) (*order, error) {
	switch {
	case r.Method != http.MethodPost || r.URL.Path != Path:
		return nil, fmt.Errorf("%s %s is nothing that is known here", r.Method, r.URL.Path)
	case r.Header.Get("Content-Type") != "application/json":
		return nil, errors.New("the content type is not application/json")
	case r.UserAgent() == "":
		return nil, errors.New("the client does not say what it is")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	fields, err := readFields(body)
	if err != nil {
		return nil, err
	}
	switch {
	case fields["key"] != f.config.APIKey:
		return nil, errors.New("invalid API key")
	case !slices.Contains(f.config.Registered, fields["email"]):
		return nil, errors.New("Invalid email address. Have you registered yet at https://mdmcert.download/?") //nolint:staticcheck // the service's words
	}
	o := &order{email: fields["email"]}
	if o.csr, err = readCSR(fields["csr"]); err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	if o.recipient, err = f.readRecipient(fields["encrypt"]); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return o, nil
}

// readFields wants exactly the four strings of a request.
func readFields(body []byte) (map[string]string, error) {
	fields := map[string]string{}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("the body is not an object of strings in JSON: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("more follows the JSON object")
	}
	for _, name := range []string{"csr", "email", "key", "encrypt"} {
		if fields[name] == "" {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	if len(fields) != 4 {
		return nil, errors.New("there are more fields than csr, email, key and encrypt")
	}
	return fields, nil
}

// readPEM wants base64 in one line of exactly one PEM block.
func readPEM(text, kind string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(b) != text {
		return nil, errors.New("it is not base64 in one line")
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != kind || len(block.Headers) > 0 || len(rest) > 0 || !bytes.HasPrefix(b, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("it is not one PEM block %q", kind)
	}
	return block.Bytes, nil
}

func readCSR(text string) ([]byte, error) {
	der, err := readPEM(text, "CERTIFICATE REQUEST")
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, err
	}
	return der, checkRSA(csr.PublicKey)
}

// readRecipient wants a certificate that is signed by itself and valid now.
func (f *Fake) readRecipient(text string) (*x509.Certificate, error) {
	der, err := readPEM(text, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return nil, fmt.Errorf("it is not signed by itself: %w", err)
	}
	if now := f.config.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, errors.New("it is not valid now")
	}
	return cert, checkRSA(cert.PublicKey)
}

func checkRSA(public any) error {
	if key, ok := public.(*rsa.PublicKey); !ok || key.N.BitLen() < 2048 {
		return errors.New("its key is not an RSA key of 2048 bits or more")
	}
	return nil
}

package devicesim

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"net/url"
)

const scepMessageType = "application/x-pki-message"

func (s *SCEP) url(operation, message string) string {
	query := url.Values{"operation": {operation}}
	if message != "" {
		query.Set("message", message)
	}
	return s.Payload.URL + "?" + query.Encode()
}

func (s *SCEP) get(ctx context.Context, operation string) (body []byte, contentType string, err error) {
	return s.do(ctx, http.MethodGet, s.url(operation, s.Payload.Name), nil)
}

// send sends a PKIOperation by POST where the server takes it.
func (s *SCEP) send(ctx context.Context, message []byte) ([]byte, error) {
	method, address, body := http.MethodGet, s.url("PKIOperation", base64.StdEncoding.EncodeToString(message)), []byte(nil)
	if s.post {
		method, address, body = http.MethodPost, s.url("PKIOperation", ""), message
	}
	reply, contentType, err := s.do(ctx, method, address, body)
	if err == nil && contentType != scepMessageType {
		return nil, fmt.Errorf("%w: content type %q", errReply, contentType)
	}
	return reply, err
}

func (s *SCEP) do(ctx context.Context, method, address string, body []byte) ([]byte, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, "", fmt.Errorf("asking the SCEP server: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", scepMessageType)
	}
	status, reply, header, err := roundTrip(s.Client, request)
	if err != nil {
		return nil, "", fmt.Errorf("asking the SCEP server: %w", err)
	}
	if status != http.StatusOK {
		return nil, "", &StatusError{Endpoint: "SCEP", Code: status}
	}
	contentType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return nil, "", fmt.Errorf("%w: content type: %w", errReply, err)
	}
	return reply, contentType, nil
}

// envelopeCipher reads which cipher an enveloped message (RFC 5652, section 6) is encrypted with.
func envelopeCipher(der []byte) (asn1.ObjectIdentifier, error) {
	var message struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version    int
			Recipients asn1.RawValue
			Encrypted  struct {
				Type    asn1.ObjectIdentifier
				Cipher  pkix.AlgorithmIdentifier
				Content asn1.RawValue `asn1:"optional"`
			}
		} `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(der, &message); err != nil {
		return nil, err
	}
	return message.Content.Encrypted.Cipher.Algorithm, nil
}

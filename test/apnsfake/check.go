package apnsfake

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a provider may send: hexadecimal digits of a token, bytes of a payload, and the age to which Apple stores a push.
const (
	minToken   = 64
	maxToken   = 200
	maxPayload = 4096
	maxAge     = 30 * 24 * time.Hour
)

// check returns the token in lower-case hexadecimal and the magic of a push, or the answer that refuses it.
func check(r *http.Request) (token, magic string, refusal *Answer) {
	refuse := func(status int, reason string) (string, string, *Answer) {
		return "", "", &Answer{Status: status, Reason: reason}
	}
	path, isDevice := strings.CutPrefix(r.URL.Path, "/3/device/")
	switch {
	case r.ProtoMajor != 2:
		return refuse(http.StatusHTTPVersionNotSupported, "HTTP2Required")
	case r.Method != http.MethodPost:
		return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed")
	case !isDevice:
		return refuse(http.StatusNotFound, "BadPath")
	case !isToken(path):
		return refuse(http.StatusBadRequest, "BadDeviceToken")
	}
	if reason := checkHeader(r.Header, topicOf(r.TLS.PeerCertificates[0])); reason != "" {
		return refuse(http.StatusBadRequest, reason)
	}
	magic, ok := readMagic(r.Body)
	if !ok {
		return refuse(http.StatusBadRequest, "BadPayload")
	}
	return strings.ToLower(path), magic, nil
}

func isToken(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) >= minToken && len(s) <= maxToken
}

// checkHeader returns Apple's reason for refusing a header, or "".
func checkHeader(h http.Header, topic string) string {
	expiration, err := strconv.ParseInt(h.Get("apns-expiration"), 10, 64)
	lives := time.Until(time.Unix(expiration, 0))
	switch {
	case h.Get("apns-topic") == "":
		return "MissingTopic"
	case topic == "" || h.Get("apns-topic") != topic:
		return "TopicDisallowed"
	case h.Get("apns-push-type") != "mdm":
		return "InvalidPushType"
	case err != nil || lives <= 0 || lives > maxAge:
		return "BadExpirationDate"
	case h.Get("apns-priority") != "10":
		return "BadPriority"
	}
	return ""
}

// readMagic reads a body that must be exactly {"mdm": magic}.
func readMagic(body io.Reader) (string, bool) {
	b, err := io.ReadAll(io.LimitReader(body, maxPayload+1))
	if err != nil || len(b) > maxPayload {
		return "", false
	}
	payload := map[string]string{}
	dec := json.NewDecoder(bytes.NewReader(b))
	if dec.Decode(&payload) != nil || dec.More() {
		return "", false
	}
	return payload["mdm"], len(payload) == 1 && payload["mdm"] != ""
}

// topicOf returns the UID attribute of the certificate's subject.
func topicOf(cert *x509.Certificate) string {
	for _, name := range cert.Subject.Names {
		if name.Type.String() == "0.9.2342.19200300.100.1.1" {
			topic, _ := name.Value.(string)
			return topic
		}
	}
	return ""
}

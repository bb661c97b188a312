package awsfake_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/awsfake"
)

const id = "11111111-2222-3333-4444-555555555555"

// The SDK's way through the fake is tested in internal/keys; here is what the fake refuses.
func TestTheFakeRefuses(t *testing.T) {
	fake := awsfake.New()
	fake.Put(id, awsfake.SignVerify, awsfake.NewKey(t))
	const scope = "AWS4-HMAC-SHA256 Credential=" + awsfake.AccessKey + "/20260101/eu-central-1/kms/aws4_request, "
	const signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
	signature := strings.Repeat("0a", 32)
	good := map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.GetPublicKey", "Authorization": scope + signed + signature}
	for name, tc := range map[string]struct {
		header, value, body, want string
	}{
		"nothing":             {"", "", `{"KeyId": "` + id + `"}`, `"KeyUsage":"SIGN_VERIFY"`},
		"no signature":        {"Authorization", "Bearer x", `{}`, "IncompleteSignatureException"},
		"another service":     {"Authorization", strings.ReplaceAll(scope, "/kms/", "/s3/") + signed + signature, `{}`, "InvalidSignatureException"},
		"another region":      {"Authorization", strings.ReplaceAll(scope, "eu-central-1", "us-east-1") + signed + signature, `{}`, "InvalidSignatureException"},
		"unknown caller":      {"Authorization", strings.ReplaceAll(scope, "AKIAFAKE", "AKIAREAL") + signed + signature, `{}`, "UnrecognizedClientException"},
		"target not signed":   {"Authorization", scope + "SignedHeaders=host;x-amz-date, Signature=" + signature, `{}`, "InvalidSignatureException"},
		"session of another":  {"X-Amz-Security-Token", "stolen", `{}`, "UnrecognizedClientException"},
		"unknown operation":   {"X-Amz-Target", "TrentService.DeleteEverything", `{}`, "UnknownOperationException"},
		"unknown key":         {"", "", `{"KeyId": "alias/other"}`, awsfake.NotFound},
		"not JSON":            {"", "", `x`, "SerializationException"},
		"algorithm":           {"X-Amz-Target", "TrentService.Sign", `{"KeyId": "` + id + `", "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}`, "ValidationException"},
		"message not digest":  {"X-Amz-Target", "TrentService.Sign", `{"KeyId": "` + id + `", "MessageType": "RAW", "SigningAlgorithm": "RSASSA_PSS_SHA_256"}`, "ValidationException"},
		"decrypt with signer": {"X-Amz-Target", "TrentService.Decrypt", `{"KeyId": "` + id + `", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}`, "InvalidKeyUsageException"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(tc.body))
			for header, value := range good {
				r.Header.Set(header, value)
			}
			if tc.header != "" {
				r.Header.Set(tc.header, tc.value)
			}
			w := httptest.NewRecorder()
			fake.ServeHTTP(w, r)
			if !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("got %s, want %s", w.Body, tc.want)
			}
		})
	}
}

func TestTheFakeGivesCredentialsForGoodTokensOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		field, value, want string
	}{
		"no JWT":         {"WebIdentityToken", "x", "InvalidIdentityToken"},
		"not base64":     {"WebIdentityToken", "a.!.c", "InvalidIdentityToken"},
		"other audience": {"WebIdentityToken", "e30.eyJhdWQiOiJrOHMiLCJleHAiOjk5OTk5OTk5OTl9.c2ln", "Incorrect token audience"},
		"expired":        {"WebIdentityToken", "e30.eyJhdWQiOlsic3RzLmFtYXpvbmF3cy5jb20iXSwiZXhwIjoxfQ.c2ln", "has expired"},
		"no role":        {"RoleArn", "", "ValidationError"},
		"other action":   {"Action", "GetCallerIdentity", "InvalidAction"},
		"nothing":        {"Version", "2011-06-15", "<AccessKeyId>ASIAFAKE"},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::111122223333:role/push"},
				"RoleSessionName": {"1"}, "WebIdentityToken": {"e30.eyJhdWQiOiJzdHMuYW1hem9uYXdzLmNvbSIsImV4cCI6OTk5OTk5OTk5OX0.c2ln"}}
			form.Set(tc.field, tc.value)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			awsfake.New().ServeHTTP(w, r)
			if !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("got %s, want %s", w.Body, tc.want)
			}
		})
	}
}

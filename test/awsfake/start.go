package awsfake

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Start runs a fake on a loopback port until the test ends, and points the SDK of this process to it, with credentials that it takes.
func Start(t testing.TB) *Fake {
	t.Helper()
	f := New()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_KMS": server.URL, "AWS_ENDPOINT_URL_STS": server.URL, "AWS_REGION": Region, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey,
		// The SDK would try three times, and wait in between.
		"AWS_MAX_ATTEMPTS": "1",
		// Nothing of whoever runs the test.
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
		"AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
	} {
		t.Setenv(name, value)
	}
	return f
}

// UseWebIdentity takes the credentials away and gives the process a role and a token for an audience, as a projected service account token is.
func UseWebIdentity(t testing.TB, audience string) {
	t.Helper()
	payload, err := json.Marshal(map[string]any{"sub": "system:serviceaccount:mdm:main", "aud": []string{audience}, "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("e30."+base64.RawURLEncoding.EncodeToString(payload)+".c2ln"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/push", "AWS_WEB_IDENTITY_TOKEN_FILE": path,
	} {
		t.Setenv(name, value)
	}
}

// NewKey makes an RSA key of 2048 bits.
func NewKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

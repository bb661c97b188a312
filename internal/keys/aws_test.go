package keys_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/test/awsfake"
)

const (
	pushID = "11111111-2222-3333-4444-555555555555"
	sealID = "99999999-2222-3333-4444-555555555555"
)

func TestAKeyInAWSSigns(t *testing.T) {
	fake := awsfake.Start(t)
	private := awsfake.NewKey(t)
	fake.Put(pushID, awsfake.SignVerify, private, "alias/push")
	t.Setenv("AWS_REGION", "us-east-1") // the region of the ARN wins
	key, made, err := keys.Ensure(t.Context(), "awskms:key-id="+awsfake.ARN(pushID), keys.Options{})
	if err != nil || made {
		t.Fatalf("made %v, %v", made, err)
	}
	if !private.PublicKey.Equal(key.Public()) {
		t.Error("it is another key")
	}
	checkRequest(t, key)
	checkHandshakes(t, key)
	if got := fake.Calls(); got["GetPublicKey"] != 1 || got["Sign"] != 3 {
		t.Errorf("calls %v", got)
	}
	if _, err := keys.Open(t.Context(), "awskms:key-id=alias/push;region=eu-central-1", keys.Options{}); err != nil {
		t.Errorf("by its alias: %v", err)
	}
}

func TestWhatAWSRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		fault string
		kind  error
		want  string
	}{
		"away":      {awsfake.Away, keys.ErrUnavailable, "KMSInternalException"},
		"denied":    {awsfake.AccessDenied, keys.ErrRefused, "kms:Sign"},
		"disabled":  {awsfake.Disabled, keys.ErrRefused, "enable the key"},
		"not found": {awsfake.NotFound, keys.ErrNoKey, "aws kms create-key"},
		"throttled": {"LimitExceededException", keys.ErrUnavailable, "LimitExceededException"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := awsfake.Start(t)
			fake.Put(pushID, awsfake.SignVerify, awsfake.NewKey(t))
			key, err := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{})
			if err != nil {
				t.Fatal(err)
			}
			fake.Fail(tc.fault)
			_, opening := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{})
			for what, err := range map[string]error{"opening": opening, "signing": signs(key), "signing again": signs(key)} {
				if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) || err.Error() != opening.Error() {
					t.Errorf("%s: got %v, want %v with %q", what, err, tc.kind, tc.want)
				}
			}
			fake.Fail("")
			if err := signs(key); err != nil {
				t.Errorf("it is over, and yet: %v", err)
			}
		})
	}
}

func TestAKeyInAWSThatIsOfNoUse(t *testing.T) {
	fake := awsfake.Start(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	fake.Put(pushID, awsfake.SignVerify, small)
	fake.Put(sealID, awsfake.EncryptDecrypt, awsfake.NewKey(t))
	if _, err := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{}); !errors.Is(err, keys.ErrRefused) || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("a small key: %v", err)
	}
	key, err := keys.Open(t.Context(), "awskms:key-id="+sealID, keys.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := signs(key); !errors.Is(err, keys.ErrRefused) || !strings.Contains(err.Error(), "SIGN_VERIFY") {
		t.Errorf("a key for decryption signs: %v", err)
	}
}

func TestAWSIsNotThere(t *testing.T) {
	awsfake.Start(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	t.Setenv("AWS_ENDPOINT_URL_KMS", gone.URL)
	for range 2 {
		if _, err := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{}); !errors.Is(err, keys.ErrUnavailable) || !strings.HasSuffix(err.Error(), "AWS KMS cannot be reached: dial: connect: connection refused") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := keys.Open(expired(), "awskms:key-id="+pushID, keys.Options{}); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("got %v of a caller who does not wait", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{}); !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "no AWS credentials") {
		t.Errorf("without credentials: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", awsfake.AccessKey)
	t.Setenv("AWS_ENDPOINT_URL_KMS", "")
	t.Setenv("AWS_REGION", "")
	if _, err := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{}); !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "Region") {
		t.Errorf("without a region: %v", err)
	}
}

// In a cluster the service account's token is exchanged for credentials.
func TestAWebIdentityBecomesARole(t *testing.T) {
	fake := awsfake.Start(t)
	fake.Put(pushID, awsfake.SignVerify, awsfake.NewKey(t))
	awsfake.UseWebIdentity(t, awsfake.Audience)
	key, err := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := signs(key); err != nil {
		t.Error(err)
	}
	if got := fake.Subjects(); !slices.Equal(got, []string{"system:serviceaccount:mdm:main"}) {
		t.Errorf("credentials for %v", got)
	}
	awsfake.UseWebIdentity(t, "https://kubernetes.default.svc")
	if _, err := keys.Open(t.Context(), "awskms:key-id="+pushID, keys.Options{}); !errors.Is(err, keys.ErrRefused) || !strings.Contains(err.Error(), "AWS STS answers InvalidIdentityToken") {
		t.Errorf("a token for somebody else: %v", err)
	}
}

func TestAURIThatIsNone(t *testing.T) {
	if _, _, err := keys.Ensure(t.Context(), "vault:key", keys.Options{}); err == nil || !strings.Contains(err.Error(), "must begin with") {
		t.Errorf("got %v", err)
	}
}

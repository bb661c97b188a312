package keyuri_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

const arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func TestParse(t *testing.T) {
	for uri, want := range map[string]keyuri.Key{
		"pkcs11:module-path=/usr/lib/p.so;token=my%20token;object=apns;id=0a01": {
			Backend: keyuri.PKCS11, Module: "/usr/lib/p.so", Token: "my token", Object: "apns", ID: []byte{10, 1}},
		"pkcs11:id=%0a1;token=a+b%3b%26;module-path=/p.so":   {Backend: keyuri.PKCS11, Module: "/p.so", Token: "a+b;&", ID: []byte{10, '1'}},
		"pkcs11:object=apns;token=t;module-path=/p.so":       {Backend: keyuri.PKCS11, Module: "/p.so", Token: "t", Object: "apns", ID: []byte{}},
		"awskms:key-id=" + arn:                               {Backend: keyuri.AWSKMS, KeyID: arn, Region: "eu-central-1"},
		"awskms:region=us-east-1;key-id=alias/mdm/push-1":    {Backend: keyuri.AWSKMS, KeyID: "alias/mdm/push-1", Region: "us-east-1"},
		"awskms:key-id=1234abcd-12ab-34cd-56ef-1234567890ab": {Backend: keyuri.AWSKMS, KeyID: "1234abcd-12ab-34cd-56ef-1234567890ab"},
		"awskms:key-id=mrk-1234abcd12ab34cd56ef123456789012": {Backend: keyuri.AWSKMS, KeyID: "mrk-1234abcd12ab34cd56ef123456789012"},
	} {
		got, err := keyuri.Parse(uri)
		if err != nil || !reflect.DeepEqual(got, want) || keyuri.Check(uri) != nil || keyuri.Backend(uri) != want.Backend {
			t.Errorf("%s: got %+v, %v", uri, got, err)
		}
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	const secret = "31415926"
	for uri, want := range map[string]string{
		"":                        "must begin with",
		"vault:key":               "must begin with",
		"PKCS11:token=t":          "must begin with",
		strings.Repeat("a", 2000): "more than 1024",
		"pkcs11:token=t;object=o": "module-path",
		"pkcs11:module-path=p.so;token=t;object=o":                                "absolute path",
		"pkcs11:module-path=/p.so;object=o":                                       "label of the token",
		"pkcs11:module-path=/p.so;token=t":                                        "object",
		"pkcs11:module-path=/p.so;token=" + strings.Repeat("t", 33) + ";object=o": "more than 32",
		"pkcs11:module-path=/p.so;token=t;id=xyz":                                 "hexadecimal",
		"pkcs11:module-path=/p.so;token=t;id=abc":                                 "hexadecimal",
		"pkcs11:module-path=/p.so;token=t;object=o?pin-value=" + secret:           "no PIN",
		"pkcs11:module-path=/p.so;token=t;object=o;pin-source=/etc/" + secret:     "no PIN",
		"pkcs11:module-path=/p.so;token=t;object=o;objct=" + secret:               "not one of module-path, token, object, id",
		"pkcs11:module-path=/p.so;slot-id=1;object=o":                             "not one of",
		"pkcs11:module-path=/p.so;token=t;token=u;object=o":                       "token twice",
		"pkcs11:module-path=/p.so;token=%zz" + secret + ";object=o":               "token in the key URI is not percent-encoded",
		"pkcs11:module-path=/p.so;token=a%00b;object=o":                           "not percent-encoded",
		"awskms:region=eu-central-1":                                              "needs key-id",
		"awskms:key-id=alias/Push":                                                "capital letters",
		"awskms:key-id=push":                                                      "neither the id",
		"awskms:key-id=alias/push;region=EU":                                      "not a region",
		"awskms:key-id=" + arn + ";region=us-east-1":                              "leave region out",
		"awskms:key-id=alias/push;credentials-file=/etc/" + secret:                "not one of key-id, region",
		"awskms:key-id=" + strings.Replace(arn, ":kms:", ":s3:", 1):               "neither the id",
	} {
		err := keyuri.Check(uri)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.80q: got %v, want %q", uri, err, want)
		}
	}
	if got := keyuri.Backend("vault:key"); got != "" {
		t.Errorf("backend %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("pkcs11:module-path=/usr/lib/p.so;token=my%20token;object=apns;id=0a01")
	f.Add("pkcs11:module-path=/usr/lib/p.so;token=t;id=%0a%01?pin-value=1")
	f.Add("awskms:key-id=" + arn)
	f.Fuzz(func(t *testing.T, uri string) {
		key, err := keyuri.Parse(uri)
		if err != nil {
			return
		}
		switch {
		case key.Backend != keyuri.Backend(uri):
			t.Errorf("%q is of %s and of %s", uri, key.Backend, keyuri.Backend(uri))
		case key.Backend == keyuri.PKCS11 && (key.Module[0] != '/' || key.Token == "" || key.Object == "" && len(key.ID) == 0):
			t.Errorf("%q lacks something: %+v", uri, key)
		case key.Backend == keyuri.AWSKMS && (key.KeyID == "" || key.KeyID != strings.ToLower(key.KeyID)):
			t.Errorf("%q: %+v", uri, key)
		}
	})
}

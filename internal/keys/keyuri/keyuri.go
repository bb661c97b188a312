package keyuri

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The backends.
const (
	PKCS11 = "PKCS11" // a token behind a PKCS#11 module
	AWSKMS = "AWSKMS" // AWS Key Management Service
)

// Schemes of the URIs and bounds of them, in bytes.
const (
	schemePKCS11 = "pkcs11:"
	schemeAWS    = "awskms:"
	maxURI       = 1024
	maxLabel     = 32 // CK_TOKEN_INFO.label, PKCS#11
)

// Key is what a URI says.
type Key struct {
	// Backend is PKCS11 or AWSKMS.
	Backend string
	// Module is the absolute path of the PKCS#11 module, Token the label of the token. Object is the label of the key (CKA_LABEL), ID its id
	// (CKA_ID); one of the two may be empty.
	Module, Token, Object string
	ID                    []byte
	// KeyID is the id, the ARN or the alias of a key in AWS. Region is that of the URI, else that of the ARN; empty: AWS_REGION says it.
	KeyID, Region string
}

// Check says what is wrong with a URI, nil if nothing is. The two forms are
//
//	pkcs11:module-path=/usr/lib/softhsm/libsofthsm2.so;token=push;object=apns;id=01
//	awskms:key-id=arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
//
// Values are percent-encoded (RFC 7512). The id of a PKCS#11 key is hexadecimal digits, or percent-encoded bytes.
func Check(uri string) error {
	_, err := Parse(uri)
	return err
}

// Backend returns PKCS11 or AWSKMS by the scheme alone, "" for any other one.
func Backend(uri string) string {
	switch {
	case strings.HasPrefix(uri, schemePKCS11):
		return PKCS11
	case strings.HasPrefix(uri, schemeAWS):
		return AWSKMS
	}
	return ""
}

// Parse reads a URI; its errors are those of Check. They repeat nothing of the URI but names of attributes, for somebody may have put a PIN into it.
func Parse(uri string) (Key, error) {
	if len(uri) > maxURI {
		return Key{}, fmt.Errorf("the key URI has more than %d bytes", maxURI)
	}
	switch Backend(uri) {
	case PKCS11:
		return parsePKCS11(uri)
	case AWSKMS:
		return parseAWS(uri)
	}
	return Key{}, errors.New("the key URI must begin with pkcs11: or awskms:, as in awskms:key-id=alias/push;region=eu-central-1")
}

func parsePKCS11(uri string) (Key, error) {
	values, err := attributes(strings.TrimPrefix(uri, schemePKCS11), "module-path", "token", "object", "id")
	if err != nil {
		return Key{}, err
	}
	key := Key{Backend: PKCS11, Module: values["module-path"], Token: values["token"], Object: values["object"], ID: []byte(values["id"])}
	switch {
	case !path.IsAbs(key.Module):
		return Key{}, errors.New("the key URI needs module-path with the absolute path of the PKCS#11 module, such as module-path=/usr/lib/softhsm/libsofthsm2.so")
	case key.Token == "":
		return Key{}, errors.New("the key URI needs token with the label of the token, such as token=push")
	case len(key.Token) > maxLabel:
		return Key{}, fmt.Errorf("token in the key URI has more than %d bytes, which no label of a token has", maxLabel)
	case key.Object == "" && len(key.ID) == 0:
		return Key{}, errors.New("the key URI needs object with the label of the key, id with its id, or both, such as object=apns;id=01")
	}
	if raw := rawValue(uri, "id"); !strings.Contains(raw, "%") {
		if key.ID, err = hex.DecodeString(raw); err != nil {
			return Key{}, errors.New("id in the key URI must be pairs of hexadecimal digits, such as id=0a01")
		}
	}
	return key, nil
}

// arn is the name of a key or an alias in AWS with the region in it.
var arn = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:(key|alias)/[a-z0-9/_-]+$`)

// name is an id or an alias in AWS.
var name = regexp.MustCompile(`^(mrk-[0-9a-f]+|[0-9a-f-]{36}|alias/[a-z0-9/_-]+)$`)

// region is a region of AWS.
var region = regexp.MustCompile(`^[a-z0-9-]+$`)

// parseAWS refuses capital letters: the library that asks AWS makes them small, and AWS tells aliases apart by them.
func parseAWS(uri string) (Key, error) {
	values, err := attributes(strings.TrimPrefix(uri, schemeAWS), "key-id", "region")
	if err != nil {
		return Key{}, err
	}
	key := Key{Backend: AWSKMS, KeyID: values["key-id"], Region: values["region"]}
	if key.Region != "" && !region.MatchString(key.Region) {
		return Key{}, errors.New("region in the key URI is not a region of AWS such as eu-central-1")
	}
	parts := arn.FindStringSubmatch(key.KeyID)
	switch {
	case key.KeyID == "":
		return Key{}, errors.New("the key URI needs key-id with the id, the ARN or the alias of the key, such as key-id=alias/push")
	case key.KeyID != strings.ToLower(key.KeyID):
		return Key{}, errors.New("key-id in the key URI has capital letters, which get lost on the way to AWS: name the key by its id or ARN, or by an alias in small letters")
	case parts != nil && key.Region != "" && key.Region != parts[1]:
		return Key{}, errors.New("region in the key URI is another one than that of the ARN: leave region out")
	case parts != nil:
		key.Region = parts[1]
	case !name.MatchString(key.KeyID):
		return Key{}, errors.New("key-id in the key URI is neither the id nor the ARN nor the alias (alias/...) of a key in AWS KMS")
	}
	return key, nil
}

// attributes reads name=value;name=value. Only the known names may occur, each once: a misspelt one would be ignored by the KMS's library, and
// others of its attributes name files of this process.
func attributes(list string, known ...string) (map[string]string, error) {
	list, _, query := strings.Cut(list, "?")
	values := map[string]string{}
	for part := range strings.SplitSeq(list, ";") {
		attribute, value, _ := strings.Cut(part, "=")
		if query || strings.HasPrefix(attribute, "pin-") {
			return nil, errors.New("the key URI must end before the \"?\" and hold no PIN (pin-value, pin-source), since it is no secret: give the PIN apart from it")
		}
		if !slices.Contains(known, attribute) {
			return nil, fmt.Errorf("the key URI has an attribute that is not one of %s", strings.Join(known, ", "))
		}
		if _, twice := values[attribute]; twice {
			return nil, fmt.Errorf("the key URI has %s twice", attribute)
		}
		decoded, err := url.PathUnescape(value)
		if err != nil || strings.ContainsRune(decoded, 0) {
			return nil, fmt.Errorf("the value of %s in the key URI is not percent-encoded text", attribute)
		}
		values[attribute] = decoded
	}
	return values, nil
}

// rawValue returns a value as it stands in a URI that attributes has accepted.
func rawValue(uri, attribute string) string {
	_, list, _ := strings.Cut(uri, ":")
	for part := range strings.SplitSeq(list, ";") {
		if value, ok := strings.CutPrefix(part, attribute+"="); ok {
			return value
		}
	}
	return ""
}

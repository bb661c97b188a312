package windows

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"github.com/google/uuid"
)

// Object identifiers of certificate requests.
var (
	oidSHA1   = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}

	oidSHA1WithRSA      = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 29} // the old name, which Windows uses
	oidSHA256WithRSA    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidCommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	oidDeviceID         = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 66, 1, 0}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidClientAuth       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

type attributeTypeAndValue struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type extension struct {
	ID    asn1.ObjectIdentifier
	Value []byte
}

type requestAttribute struct {
	ID     asn1.ObjectIdentifier
	Values [][]extension `asn1:"set"`
}

type requestInfo struct {
	Version    int
	Subject    []relativeNameSET
	PublicKey  asn1.RawValue
	Attributes []requestAttribute `asn1:"tag:0,set"`
}

// relativeNameSET is encoded as a SET because of its name.
type relativeNameSET []attributeTypeAndValue

type algorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue
}

type signedRequest struct {
	Info      asn1.RawValue
	Algorithm algorithm
	Signature asn1.BitString
}

// certificateRequest makes a PKCS#10 request as Windows makes it, whose name and extensions Go's own function would not write.
func (pc *PC) certificateRequest(key *rsa.PrivateKey, hash asn1.ObjectIdentifier) ([]byte, error) {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}
	stringType, extensions := asn1.TagUTF8String, []extension{{oidDeviceID, []byte(pc.opts.DeviceID + "\x00")}}
	if pc.opts.LegacyCSR {
		stringType = asn1.TagPrintableString
	} else {
		usage, err := asn1.Marshal([]asn1.ObjectIdentifier{oidClientAuth})
		if err != nil {
			return nil, fmt.Errorf("encoding key usage: %w", err)
		}
		extensions = append(extensions, extension{oidExtKeyUsage, usage})
	}
	name := uuid.NewString()[:30] + "!" + pc.opts.DeviceID + "\x00"
	info, err := asn1.Marshal(requestInfo{
		Subject:    []relativeNameSET{{{oidCommonName, asn1.RawValue{Tag: stringType, Bytes: []byte(name)}}}},
		PublicKey:  asn1.RawValue{FullBytes: public},
		Attributes: []requestAttribute{{ID: oidExtensionRequest, Values: [][]extension{extensions}}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding certificate request: %w", err)
	}
	return signRequest(key, hash, info)
}

func signRequest(key *rsa.PrivateKey, hash asn1.ObjectIdentifier, info []byte) ([]byte, error) {
	with, function, sum := oidSHA1WithRSA, crypto.SHA1, sha1.New()
	if hash.Equal(oidSHA256) {
		with, function, sum = oidSHA256WithRSA, crypto.SHA256, sha256.New()
	}
	sum.Write(info)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, function, sum.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("signing certificate request: %w", err)
	}
	der, err := asn1.Marshal(signedRequest{
		Info: asn1.RawValue{FullBytes: info}, Algorithm: algorithm{with, asn1.NullRawValue},
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding certificate request: %w", err)
	}
	return der, nil
}

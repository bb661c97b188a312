package awsfake

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// target begins the X-Amz-Target header of the KMS.
const target = "TrentService."

// request has the fields of all operations. Binary ones are base64, as encoding/json reads them.
type request struct {
	KeyId               string
	Message             []byte
	MessageType         string
	SigningAlgorithm    string
	CiphertextBlob      []byte
	EncryptionAlgorithm string
}

// failure is an error of the KMS.
type failure struct {
	code, message string
}

var operations = map[string]func(key, *request) (map[string]any, *failure){
	"GetPublicKey": getPublicKey,
	"Sign":         sign,
	"Decrypt":      decrypt,
}

func (f *Fake) serveKMS(w http.ResponseWriter, r *http.Request) {
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), target)
	fault := f.count(operation)
	if fault != "" {
		refuse(w, &failure{fault, "the fake was told to fail"})
		return
	}
	if failed := f.authorize(r); failed != nil {
		refuse(w, failed)
		return
	}
	do := operations[operation]
	if do == nil || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		refuse(w, &failure{"UnknownOperationException", "no such operation: " + operation})
		return
	}
	var asked request
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		refuse(w, &failure{"SerializationException", err.Error()})
		return
	}
	k, ok := f.key(asked.KeyId)
	if !ok {
		refuse(w, &failure{NotFound, fmt.Sprintf("Key '%s' does not exist", asked.KeyId)})
		return
	}
	answer, failed := do(k, &asked)
	if failed != nil {
		refuse(w, failed)
		return
	}
	answer["KeyId"] = asked.KeyId
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

func refuse(w http.ResponseWriter, f *failure) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	status := http.StatusBadRequest
	if f.code == Away {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.code, "message": f.message}) // the client may be gone
}

// authorization is the header of SigV4.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$`)

func (f *Fake) authorize(r *http.Request) *failure {
	parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return &failure{"IncompleteSignatureException", "the Authorization header is not SigV4"}
	}
	accessKey, region, service, signed := parts[1], parts[2], parts[3], parts[4]
	f.mu.Lock()
	session, known := f.sessions[accessKey]
	f.mu.Unlock()
	switch {
	case !known || r.Header.Get("X-Amz-Security-Token") != session:
		return &failure{"UnrecognizedClientException", "The security token included in the request is invalid."}
	case region != Region || service != "kms":
		return &failure{"InvalidSignatureException", "Credential should be scoped to a valid region and service."}
	case !strings.Contains(signed, "host") || !strings.Contains(signed, "x-amz-date") || !strings.Contains(signed, "x-amz-target"):
		return &failure{"InvalidSignatureException", "host, x-amz-date and x-amz-target must be signed"}
	}
	return nil
}

func getPublicKey(k key, _ *request) (map[string]any, *failure) {
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		return nil, &failure{Away, err.Error()}
	}
	return map[string]any{"PublicKey": der, "KeyUsage": k.usage, "KeySpec": fmt.Sprintf("RSA_%d", k.private.N.BitLen())}, nil
}

var signing = map[string]crypto.SignerOpts{
	"RSASSA_PKCS1_V1_5_SHA_256": crypto.SHA256,
	"RSASSA_PSS_SHA_256":        &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
	"RSASSA_PSS_SHA_384":        &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384},
	"RSASSA_PSS_SHA_512":        &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512},
}

func sign(k key, asked *request) (map[string]any, *failure) {
	opts := signing[asked.SigningAlgorithm]
	switch {
	case k.usage != SignVerify:
		return nil, &failure{"InvalidKeyUsageException", "the key is for " + k.usage}
	case opts == nil || asked.MessageType != "DIGEST" || len(asked.Message) != opts.HashFunc().Size():
		return nil, &failure{"ValidationException", "wrong SigningAlgorithm, MessageType or length of Message"}
	}
	signature, err := k.private.Sign(rand.Reader, asked.Message, opts)
	if err != nil {
		return nil, &failure{Away, err.Error()}
	}
	return map[string]any{"Signature": signature, "SigningAlgorithm": asked.SigningAlgorithm}, nil
}

var encryption = map[string]crypto.Hash{"RSAES_OAEP_SHA_1": crypto.SHA1, "RSAES_OAEP_SHA_256": crypto.SHA256}

func decrypt(k key, asked *request) (map[string]any, *failure) {
	hash := encryption[asked.EncryptionAlgorithm]
	switch {
	case k.usage != EncryptDecrypt:
		return nil, &failure{"InvalidKeyUsageException", "the key is for " + k.usage}
	case hash == 0:
		return nil, &failure{"ValidationException", "wrong EncryptionAlgorithm"}
	}
	plain, err := rsa.DecryptOAEP(hash.New(), nil, k.private, asked.CiphertextBlob, nil)
	if err != nil {
		return nil, &failure{"InvalidCiphertextException", ""}
	}
	return map[string]any{"Plaintext": plain, "EncryptionAlgorithm": asked.EncryptionAlgorithm}, nil
}

package keys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// maxAnswer bounds what is repeated of a message of AWS, in bytes.
const maxAnswer = 300

// cures are what to do about the errors of AWS that only a person ends ("Common errors" and the errors of GetPublicKey, Sign and Decrypt in the AWS
// KMS API Reference; those of AssumeRoleWithWebIdentity in the AWS STS API Reference).
var cures = map[string]string{
	"AccessDeniedException":         "allow the role of this program kms:GetPublicKey, kms:Sign and, for sealed files, kms:Decrypt in the policy of the key",
	"AccessDenied":                  "let the trust policy of the role name this cluster's issuer and the service account of this program",
	"DisabledException":             "enable the key",
	"KMSInvalidStateException":      "the key is to be deleted or not ready: cancel its deletion",
	"InvalidKeyUsageException":      "signing needs a key with the usage SIGN_VERIFY, a sealed file one with ENCRYPT_DECRYPT",
	"UnsupportedOperationException": "use an asymmetric RSA key",
	"InvalidCiphertextException":    "it was not encrypted for this key: seal the file again with the key's public key",
	"IncorrectKeyException":         "it was not encrypted for this key: seal the file again with the key's public key",
	"InvalidGrantTokenException":    "check the grants of the key",
	"UnrecognizedClientException":   "check the credentials of this program",
	"InvalidClientTokenId":          "check the credentials of this program",
	"InvalidSignatureException":     "check the credentials and the clock of this program",
	"SignatureDoesNotMatch":         "check the credentials and the clock of this program",
	"ExpiredTokenException":         "renew the credentials of this program",
	"InvalidIdentityToken":          "the audience of the service account token must be sts.amazonaws.com, and its issuer an identity provider of the account",
	"ValidationError":               "check AWS_ROLE_ARN",
}

// explainAWS makes an error of this package of one of the SDK's. It leaves out what is another one each time, such as request ids and ports: who
// shows the error would show a new one every few seconds.
func explainAWS(err error) error {
	service := asked(err)
	if service == "ec2imds" {
		return fmt.Errorf("%w: there are no AWS credentials: give this program a role (AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or the pod identity of EKS)", ErrUnavailable)
	}
	var answer interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: AWS %s cannot be reached: %s", ErrUnavailable, service, cause(err))
	}
	code, message := answer.ErrorCode(), shorten(answer.ErrorMessage())
	if code == "NotFoundException" {
		return fmt.Errorf("%w: AWS answers %s (%s): check key-id and region, or make a key (aws kms create-key --key-spec RSA_2048 --key-usage SIGN_VERIFY)", ErrNoKey, code, message)
	}
	if cure := cures[code]; cure != "" {
		return fmt.Errorf("%w: AWS %s answers %s (%s): %s", ErrRefused, service, code, message, cure)
	}
	return fmt.Errorf("%w: AWS %s answers %s (%s)", ErrUnavailable, service, code, message)
}

// asked returns the service whose answer, or silence, the error is about: to ask the KMS for something the SDK first asks others for credentials.
func asked(err error) string {
	service := "KMS"
	for ; err != nil; err = errors.Unwrap(err) {
		if op, ok := err.(interface {
			Service() string
			Operation() string
		}); ok {
			service = op.Service()
		}
	}
	return service
}

// cause says in words that stay the same why nothing answered.
func cause(err error) string {
	var name *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	case errors.As(err, &name):
		return fmt.Sprintf("the name %s has no address", name.Name)
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return shorten(err.Error())
}

func shorten(text string) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) > maxAnswer {
		text = strings.ToValidUTF8(text[:maxAnswer], "") + " ..."
	}
	return text
}

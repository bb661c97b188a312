package keys

import (
	"context"
	"crypto"
	"io"
	"net/url"

	"go.step.sm/crypto/kms/apiv1"
	"go.step.sm/crypto/kms/awskms"
	"go.step.sm/crypto/kms/uri"

	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// The SDK finds region, credentials and endpoints as it does everywhere: AWS_REGION, AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE,
// AWS_ENDPOINT_URL_KMS and so on. Its calls, credentials included, end after 15 s by themselves.

func openAWS(ctx context.Context, key keyuri.Key) (crypto.Signer, error) {
	return within(ctx, func() (crypto.Signer, error) {
		client, err := newAWS(ctx, key)
		if err != nil {
			return nil, err
		}
		signer, err := client.CreateSigner(&apiv1.CreateSignerRequest{SigningKey: key.KeyID})
		if err != nil {
			return nil, explainAWS(err)
		}
		if err := checkRSA(signer.Public()); err != nil {
			return nil, err
		}
		return awsSigner{signer}, nil
	})
}

func openAWSDecrypter(ctx context.Context, key keyuri.Key) (crypto.Decrypter, error) {
	return within(ctx, func() (crypto.Decrypter, error) {
		client, err := newAWS(ctx, key)
		if err != nil {
			return nil, err
		}
		decrypter, err := client.CreateDecrypter(&apiv1.CreateDecrypterRequest{DecryptionKey: key.KeyID})
		if err != nil {
			return nil, explainAWS(err)
		}
		if err := checkRSA(decrypter.Public()); err != nil {
			return nil, err
		}
		return awsDecrypter{decrypter}, nil
	})
}

func newAWS(ctx context.Context, key keyuri.Key) (*awskms.KMS, error) {
	var options apiv1.Options
	if key.Region != "" {
		options.URI = uri.New(awskms.Scheme, url.Values{"region": {key.Region}}).String()
	}
	client, err := awskms.New(ctx, options)
	if err != nil {
		return nil, explainAWS(err)
	}
	return client, nil
}

// awsSigner and awsDecrypter say in words what AWS answers.
type awsSigner struct{ crypto.Signer }

func (s awsSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.Signer.Sign(random, digest, opts)
	if err != nil {
		return nil, explainAWS(err)
	}
	return signature, nil
}

type awsDecrypter struct{ crypto.Decrypter }

func (d awsDecrypter) Decrypt(random io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	plain, err := d.Decrypter.Decrypt(random, ciphertext, opts)
	if err != nil {
		return nil, explainAWS(err)
	}
	return plain, nil
}

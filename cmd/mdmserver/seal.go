package main

import (
	"crypto/rsa"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/mdmserver/config"
)

// maxPlain bounds what is read to be sealed, in bytes. envelope.Seal takes less.
const maxPlain = 1 << 20

func sealCommand() *cobra.Command {
	var uri string
	c := &cobra.Command{
		Use:   "seal --key-uri URI <FILE >FILE.sealed",
		Short: "Seal a credential for a key in a KMS",
		Long: `Seal a credential for a key in a KMS.

It reads standard input and writes the sealed file, which only whoever may decrypt with that key can open. The key is an RSA key for decryption:
in AWS one with the usage ENCRYPT_DECRYPT (kms:GetPublicKey is enough to seal), on a PKCS#11 token one with CKA_DECRYPT. The PIN of a token is in
` + config.PINVariable + `.`,
		Example: "  mdmserver seal --key-uri 'awskms:key-id=alias/mdm;region=eu-central-1' <tls.key >serving/tls.key.sealed",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plain, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxPlain))
			if err != nil {
				return fmt.Errorf("reading standard input: %w", err)
			}
			key, err := keys.OpenDecrypter(cmd.Context(), uri, keys.Options{PIN: os.Getenv(config.PINVariable)})
			if err != nil {
				return err
			}
			sealed, err := envelope.Seal(key.Public().(*rsa.PublicKey), uri, plain)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", sealed)
			return err
		},
	}
	c.Flags().StringVar(&uri, "key-uri", "", "the key: awskms:key-id=...;region=... or pkcs11:module-path=...;token=...;object=...;id=...")
	_ = c.MarkFlagRequired("key-uri") // fails only for a flag that is not defined
	return c
}

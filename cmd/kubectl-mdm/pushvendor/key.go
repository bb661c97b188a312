package pushvendor

import (
	"context"
	"crypto"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// keyFlags say where the vendor's key is.
type keyFlags struct{ file, uri, pinFile string }

func (k *keyFlags) add(cmd *cobra.Command, file string) {
	cmd.Flags().StringVar(&k.file, "key", "", file)
	cmd.Flags().StringVar(&k.uri, "key-uri", "", "the vendor's key in a KMS, such as awskms:key-id=alias/vendor;region=eu-central-1")
	cmd.Flags().StringVar(&k.pinFile, "pin-file", "", "`file` with the PIN of the PKCS#11 token of --key-uri")
	cmd.MarkFlagsMutuallyExclusive("key", "key-uri")
	cmd.MarkFlagsMutuallyExclusive("key", "pin-file")
}

// options reads the PIN.
func (k *keyFlags) options() (keys.Options, error) {
	if k.pinFile == "" {
		return keys.Options{}, nil
	}
	pin, err := readFile(k.pinFile)
	return keys.Options{PIN: strings.TrimSpace(string(pin))}, err
}

// open returns the key that is there. keys.Close ends its use.
func (k *keyFlags) open(ctx context.Context) (crypto.Signer, error) {
	if k.uri != "" {
		o, err := k.options()
		if err != nil {
			return nil, err
		}
		return keys.Open(ctx, k.uri, o)
	}
	content, err := readFile(k.file)
	if err != nil {
		return nil, err
	}
	key, err := pushcert.ReadKey(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.file, err)
	}
	return key, nil
}

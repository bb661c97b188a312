package pushvendor

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// keyBits is the size of the vendor's key, which Apple asks for.
const keyBits = 2048

// requesting is what "csr" was asked for.
type requesting struct {
	key     keyFlags
	subject pushcert.Subject
	output  string
}

// CSR is the command that makes a vendor's key and the request for its certificate. program is the name before "csr" in the examples.
func CSR(program string) *cobra.Command {
	r := &requesting{}
	c := &cobra.Command{
		Use:   "csr (--key FILE | --key-uri URI)",
		Short: "Make the vendor's key, and the request for the vendor certificate",
		Long: `Make the vendor's key, and the request for the vendor certificate.

--key names the file that the new key is written to, which only you can read. No file is ever written over. With --key-uri the key is in a KMS: the one that
is there is used, and a PKCS#11 token that has none makes one.

Upload the request at https://developer.apple.com/account/resources/certificates as a certificate of the type "MDM CSR", and download mdm.cer. Whoever has
the key signs in your name.`,
		Example: examples(program, `  # A key in a file
  PROGRAM csr --key vendor.key --output vendor.csr

  # A key that never leaves AWS KMS
  PROGRAM csr --key-uri 'awskms:key-id=alias/vendor;region=eu-central-1' --output vendor.csr

  # A key on a PKCS#11 token, made there if it is missing
  PROGRAM csr --key-uri 'pkcs11:module-path=/usr/lib/softhsm/libsofthsm2.so;token=vendor;object=mdm;id=01' --pin-file pin -o vendor.csr`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	r.key.add(c, "`file` that the new key is written to")
	c.MarkFlagsOneRequired("key", "key-uri")
	c.Flags().StringVarP(&r.output, "output", "o", standard, "`file` that the request is written to, - for standard output")
	c.Flags().StringVar(&r.subject.CommonName, "common-name", "MDM vendor", "name in the request; Apple writes its own into the certificate")
	c.Flags().StringVar(&r.subject.Organization, "organization", "", "organisation in the request")
	c.Flags().StringVar(&r.subject.Email, "email", "", "e-mail address in the request")
	c.Flags().StringVar(&r.subject.Country, "country", "", "country in the request, a code of two letters")
	return c
}

func (r *requesting) run(cmd *cobra.Command) error {
	makeRequest := r.makeFile
	if r.key.uri != "" {
		makeRequest = r.makeInKMS
	}
	if err := makeRequest(cmd); err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), `Next: upload the request at https://developer.apple.com/account/resources/certificates as a certificate of the type "MDM CSR", and download mdm.cer.`)
	return nil
}

func (r *requesting) makeFile(cmd *cobra.Command) error {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("making the key: %w", err)
	}
	csr, err := pushcert.NewCSR(key, r.subject)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the key: %w", err)
	}
	if err := writeNew(r.key.file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	if err := write(cmd, r.output, csr); err != nil {
		return errors.Join(err, os.Remove(r.key.file)) // nobody has seen a request for it
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The key is in %s: keep it in a safe place, and a copy in another one.\n", r.key.file)
	return nil
}

func (r *requesting) makeInKMS(cmd *cobra.Command) error {
	o, err := r.key.options()
	if err != nil {
		return err
	}
	defer keys.Close()
	key, made, err := keys.Ensure(cmd.Context(), r.key.uri, o)
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintln(cmd.ErrOrStderr(), "The token has made the key.")
	}
	csr, err := pushcert.NewCSR(key, r.subject)
	if err != nil {
		return err
	}
	return write(cmd, r.output, csr)
}

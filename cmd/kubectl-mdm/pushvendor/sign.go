package pushvendor

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// uploadStep is what a customer does with a request that is signed.
const uploadStep = `the customer uploads it at https://identity.apple.com/pushcert: "Create a Certificate" for the first certificate, and "Renew" beside a certificate that exists, with the Apple Account that made it. Create gives a new topic, and every device would have to be enrolled again.`

// signing is what "sign" was asked for.
type signing struct {
	vendor vendorFlags
	output string
}

// Sign is the command that signs a customer's request. program is the name before "sign" in the examples.
func Sign(program string) *cobra.Command {
	s := &signing{}
	c := &cobra.Command{
		Use:   "sign (--key FILE | --key-uri URI) --certificate FILE [--chain FILE]... CSR",
		Short: "Sign a customer's request, and write the file for Apple's portal",
		Long: `Sign a customer's request, and write the file for Apple's portal.

CSR is the certificate request that the customer sent, PEM or DER; - reads standard input. What is written is the push certificate request that the customer
uploads at https://identity.apple.com/pushcert. Apple's certificates are at https://www.apple.com/certificateauthority/: of those in --chain the
intermediate certificate that issued yours is picked, and the root.

Nothing is written if Apple would refuse it: the error says why, and what to do.`,
		Example: examples(program, `  # Sign with a key in a file
  PROGRAM sign --key vendor.key --certificate mdm.cer --chain apple.pem --output signed.plist.b64 push.csr

  # Sign with a key in AWS KMS, with Apple's certificates as they were downloaded
  PROGRAM sign --key-uri 'awskms:key-id=alias/vendor;region=eu-central-1' --certificate mdm.cer \
    --chain AppleWWDRCAG3.cer --chain AppleIncRootCertificate.cer --output signed.plist.b64 push.csr

  # In a pipe
  PROGRAM sign --key vendor.key --certificate mdm.cer --chain apple.pem - < push.csr > signed.plist.b64`),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args[0]) },
	}
	s.vendor.add(c)
	c.MarkFlagsOneRequired("key", "key-uri")
	cobra.CheckErr(c.MarkFlagRequired("certificate"))
	c.Flags().StringVarP(&s.output, "output", "o", standard, "`file` that the signed request is written to, - for standard output")
	return c
}

func (s *signing) run(cmd *cobra.Command, file string) error {
	content, err := read(cmd, file)
	if err != nil {
		return err
	}
	csr, err := pushcert.ParseCSR(content)
	if err != nil {
		return fmt.Errorf("the request %s is refused: %w", file, err)
	}
	defer keys.Close()
	vendor, err := s.vendor.open(cmd.Context())
	if err != nil {
		return err
	}
	if isOf(csr, vendor.Key.Public()) {
		return fmt.Errorf("the request %s is refused: it is the vendor's own, with the vendor's key; give the customer's", file)
	}
	now := time.Now()
	request, refusal, err := vendor.Sign(csr, now)
	switch {
	case err != nil:
		return err
	case refusal != nil:
		return refused("the request is not signed", refusal)
	}
	if err := write(cmd, s.output, append(request.Encode(), '\n')); err != nil {
		return err
	}
	leaf, issuer := request.Chain[0], request.Chain[1]
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Signed the request of %s\nwith %s (%s)\nissued by %s (%s).\nNext: %s\n",
		describe(csr.Subject), describe(leaf.Subject), until(leaf, now), describe(issuer.Subject), until(issuer, now), uploadStep)
	return err
}

func isOf(csr *x509.CertificateRequest, public crypto.PublicKey) bool {
	key, ok := csr.PublicKey.(*rsa.PublicKey)
	return ok && key.Equal(public)
}

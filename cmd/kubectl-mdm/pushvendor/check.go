package pushvendor

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// Check is the command that says whether Apple would take a signed request, or would take one of a vendor. program is the name before "check" in the
// examples.
func Check(program string) *cobra.Command {
	v := &vendorFlags{}
	c := &cobra.Command{
		Use:   "check (FILE | (--key FILE | --key-uri URI) --certificate FILE [--chain FILE]...)",
		Short: "Say whether Apple would take a signed request, or what a vendor signs",
		Long: `Say whether Apple would take a signed request, or what a vendor signs.

With FILE: whether it is a push certificate request that Apple would take: the signature, the vendor's certificate and Apple's, and their times. - reads
standard input. Without FILE: whether the vendor's key, its certificate and Apple's certificates fit together, and until when.

The exit code is 0 if all is well.`,
		Example: examples(program, `  # The file that the customer is about to upload
  PROGRAM check signed.plist.b64

  # The vendor's key and certificates
  PROGRAM check --key vendor.key --certificate mdm.cer --chain apple.pem`),
		Args: cobra.MaximumNArgs(1),
	}
	v.add(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		given := v.certificate != "" || v.key.file != "" || v.key.uri != "" || len(v.chain) > 0
		switch {
		case len(args) == 1 && given:
			return errors.New("give a signed request, or the vendor's key and certificates, not both: a signed request has its certificates in it")
		case len(args) == 1:
			return checkRequest(cmd, args[0])
		case v.certificate == "" || v.key.file == "" && v.key.uri == "":
			return errors.New("give a signed request, or the vendor's key (--key or --key-uri) and --certificate")
		}
		return v.check(cmd)
	}
	return c
}

func checkRequest(cmd *cobra.Command, file string) error {
	content, err := read(cmd, file)
	if err != nil {
		return err
	}
	request, err := pushcert.ParseRequest(content)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	now := time.Now()
	if refusal := request.Check(now); refusal != nil {
		return refused(file, refusal)
	}
	if bytes.ContainsRune(content, '<') {
		return fmt.Errorf("%s: it is the bare property list, and Apple takes it in base64: upload what 'base64 FILE' makes of it", file)
	}
	leaf, issuer := request.Chain[0], request.Chain[1]
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "request of: %s\nsigned by:  %s (%s)\nissued by:  %s (%s)\nIt is sound. Next: %s\n",
		describe(request.CSR.Subject), describe(leaf.Subject), until(leaf, now), describe(issuer.Subject), until(issuer, now), uploadStep)
	return err
}

func (v *vendorFlags) check(cmd *cobra.Command) error {
	defer keys.Close()
	vendor, err := v.open(cmd.Context())
	if err != nil {
		return err
	}
	now := time.Now()
	if refusal := vendor.Check(now); refusal != nil {
		return refused("this vendor cannot sign", refusal)
	}
	leaf := vendor.Leaf()
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "vendor:    %s (%s)\nissued by: %s\nKey and certificates fit together.\n", describe(leaf.Subject), until(leaf, now), describe(leaf.Issuer))
	return err
}

package pushvendor

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// Command is "kubectl mdm vendor".
func Command() *cobra.Command {
	const program = "kubectl mdm vendor"
	c := &cobra.Command{
		Use:   "vendor",
		Short: "Sign requests for push certificates as an MDM vendor",
		Long: `Sign requests for push certificates as an MDM vendor.

Apple issues push certificates only for requests that an MDM vendor has signed, whose own certificate ("MDM CSR") is from developer.apple.com. These
commands are for the vendor. They work on files and need no cluster; vendorsign is the same as a program of its own.`,
		Example: `  # Once a year: a key and a request for the vendor certificate
  kubectl mdm vendor csr --key vendor.key --output vendor.csr

  # Do the certificate, the key and Apple's certificates fit together?
  kubectl mdm vendor check --key vendor.key --certificate mdm.cer --chain apple.pem

  # Sign a customer's request
  kubectl mdm vendor sign --key vendor.key --certificate mdm.cer --chain apple.pem --output signed.plist.b64 push.csr`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(CSR(program), Sign(program), Check(program))
	return c
}

// examples puts the name of the program into the examples of a command.
func examples(program, text string) string { return strings.ReplaceAll(text, "PROGRAM", program) }

// refused is the error for a refusal.
func refused(what string, refusal *pushcert.Refusal) error {
	return fmt.Errorf("%s: %w (%s)", what, refusal, refusal.Reason)
}

// until says how long a certificate is good.
func until(c *x509.Certificate, now time.Time) string {
	return fmt.Sprintf("ends at %s, %d days left", c.NotAfter.UTC().Format(time.RFC3339), int(c.NotAfter.Sub(now).Hours()/24))
}

// labels are the usual names of attributes (RFC 4514, section 3, and PKCS #9).
var labels = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.10": "O", "2.5.4.11": "OU", "1.2.840.113549.1.9.1": "emailAddress",
}

// describe writes a name for people. It is quoted, since a stranger chose it and a terminal obeys control characters.
func describe(name pkix.Name) string {
	parts := make([]string, len(name.Names))
	for i, attribute := range name.Names {
		label, known := labels[attribute.Type.String()]
		if !known {
			label = attribute.Type.String()
		}
		parts[i] = fmt.Sprintf("%s=%v", label, attribute.Value)
	}
	return fmt.Sprintf("%q", strings.Join(parts, ", "))
}

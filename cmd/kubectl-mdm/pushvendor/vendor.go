package pushvendor

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// vendorFlags say who the vendor is.
type vendorFlags struct {
	key         keyFlags
	certificate string
	chain       []string
}

func (v *vendorFlags) add(cmd *cobra.Command) {
	v.key.add(cmd, "`file` with the vendor's key")
	cmd.Flags().StringVar(&v.certificate, "certificate", "", "`file` with the vendor certificate, mdm.cer")
	cmd.Flags().StringArrayVar(&v.chain, "chain", nil, "`file` with Apple's intermediate (WWDR) and root certificates, in any order and more than are needed; may be given several times")
}

// open reads the files and opens the key. keys.Close ends its use.
func (v *vendorFlags) open(ctx context.Context) (pushcert.Vendor, error) {
	var vendor pushcert.Vendor
	for _, file := range slices.Concat([]string{v.certificate}, v.chain) {
		content, err := readFile(file)
		if err != nil {
			return vendor, err
		}
		found, err := pushcert.ReadCertificates(content)
		if err != nil {
			return vendor, fmt.Errorf("%s: %w", file, err)
		}
		vendor.Certificates = append(vendor.Certificates, found...)
	}
	var err error
	vendor.Key, err = v.key.open(ctx)
	return vendor, err
}

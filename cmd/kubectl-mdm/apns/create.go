package apns

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// creation is how an APNSCertificate is made that is not there.
type creation struct {
	wanted       bool
	vendorSecret string
	mdmcertEmail string
	mdmcertKey   string
	appleAccount string
}

func (n *creation) flags(c *cobra.Command) {
	c.Flags().BoolVar(&n.wanted, "create", false, "make the APNSCertificate if there is none; one that is there is left as it is")
	c.Flags().StringVar(&n.vendorSecret, "vendor-secret", "", "with --create: the Secret with your own MDM vendor certificate, which signs requests")
	c.Flags().StringVar(&n.mdmcertEmail, "mdmcert-email", "", "with --create: the address at mdmcert.download, which signs requests")
	c.Flags().StringVar(&n.appleAccount, "apple-account", "", "with --create: the Apple Account that will hold the certificate")
	c.Flags().StringVar(&n.mdmcertKey, "mdmcert-api-key-secret", "", "with --mdmcert-email: "+apiKeyUsage)
	c.MarkFlagsRequiredTogether("mdmcert-email", "mdmcert-api-key-secret")
	c.MarkFlagsMutuallyExclusive("vendor-secret", "mdmcert-email")
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"vendor-secret", "mdmcert-email", "apple-account"} {
			if cmd.Flags().Changed(name) && !n.wanted {
				return fmt.Errorf("--%s goes with --create: kubectl edit apnscertificate changes one that is there", name)
			}
		}
		return nil
	}
}

// ensure makes the certificate if there is none.
func (n *creation) ensure(ctx context.Context, e *cli.Env, s *cli.Session, name string) (*mdmv1alpha1.APNSCertificate, error) {
	c := n.object(client.ObjectKey{Namespace: s.Namespace, Name: name})
	err := s.Create(ctx, c, owner)
	switch {
	case apierrors.IsAlreadyExists(err):
		if _, err := fmt.Fprintf(e.ErrOut, "%s is there already and is left as it is\n", name); err != nil {
			return nil, err
		}
		return find(ctx, s, name)
	case err != nil:
		return nil, fmt.Errorf("making the APNSCertificate %s: %w", name, err)
	}
	_, err = fmt.Fprintf(e.ErrOut, "Made the APNSCertificate %s in the namespace %s\n", name, s.Namespace)
	return c, err
}

func (n *creation) object(key client.ObjectKey) *mdmv1alpha1.APNSCertificate {
	c := &mdmv1alpha1.APNSCertificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec:       mdmv1alpha1.APNSCertificateSpec{AppleAccount: n.appleAccount},
	}
	switch {
	case n.vendorSecret != "":
		c.Spec.Vendor = &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorSecret, Secret: &mdmv1alpha1.LocalReference{Name: n.vendorSecret}}
	case n.mdmcertEmail != "":
		c.Spec.Vendor = &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorMDMCert, MDMCert: &mdmv1alpha1.MDMCertVendor{
			Email: n.mdmcertEmail, APIKeySecretRef: apiKeyReference(n.mdmcertKey),
		}}
	default:
		c.Spec.Vendor = &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorManual}
	}
	return c
}

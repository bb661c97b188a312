package validate

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// APNSCertificate checks the URI of a key in a KMS, and that no Secret that is given is the operator's own.
func APNSCertificate(c *v1alpha1.APNSCertificate) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	if kms := c.Spec.KeyStorage.KMS; kms != nil {
		if err := keyuri.Check(kms.URI); err != nil {
			errs = append(errs, field.Invalid(spec.Child("keyStorage", "kms", "uri"), kms.URI, err.Error()))
		}
	}
	ours := func(name string, path ...string) {
		if name == c.KeySecretName() {
			errs = append(errs, field.Invalid(spec.Child(path[0], path[1:]...), name, fmt.Sprintf("the operator keeps its own keys in the Secret %s: give another one", name)))
		}
	}
	if ref := c.Spec.SecretRef; ref != nil {
		ours(ref.Name, "secretRef", "name")
	}
	if ref := c.Spec.CertificateSecretRef; ref != nil {
		ours(ref.Name, "certificateSecretRef", "name")
	}
	if vendor := c.Spec.Vendor; vendor != nil && vendor.Secret != nil {
		ours(vendor.Secret.Name, "vendor", "secret", "name")
	}
	return errs
}

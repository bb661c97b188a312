package v1alpha1

import (
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DeviceIdentity configures the certificates that devices get when they enrol, and the CA that issues them.
//
// +kubebuilder:validation:XValidation:rule="duration(self.validity) < duration(self.caValidity)",message="validity must be shorter than caValidity, since no certificate outlives its issuer"
type DeviceIdentity struct {
	// validity of a device's certificate. A device that stays silent until its certificate has expired must enrol again.
	// +optional
	// +kubebuilder:default="8760h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	Validity metav1.Duration `json:"validity,omitzero"`

	// issuerRef is the cert-manager issuer that signs the CA's generations; absent: each generation is self-signed, which is enough, since only
	// the server itself has to trust it.
	// +optional
	IssuerRef *cmmeta.IssuerReference `json:"issuerRef,omitempty"`

	// caValidity of one generation of the CA. The next generation starts early enough for every certificate to end before its issuer.
	// +optional
	// +kubebuilder:default="87600h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	CAValidity metav1.Duration `json:"caValidity,omitzero"`
}

// AppleIdentity configures the certificates of Apple devices, which the server renews.
//
// +kubebuilder:validation:XValidation:rule="duration(self.renewBefore) < duration(self.validity)",message="renewBefore must be shorter than validity"
type AppleIdentity struct {
	DeviceIdentity `json:",inline"`

	// renewBefore is how long before its end a certificate is renewed, spread over a tenth of this time so that a fleet that enrolled together
	// does not renew together. The default is half a year: a device may lie in a drawer that long and still come back.
	// +optional
	// +kubebuilder:default="4320h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	RenewBefore metav1.Duration `json:"renewBefore,omitzero"`
}

// WindowsIdentity configures the certificates of PCs, which renew them by themselves.
//
// +kubebuilder:validation:XValidation:rule="duration(self.renewBefore) < duration(self.validity)",message="renewBefore must be shorter than validity"
type WindowsIdentity struct {
	DeviceIdentity `json:",inline"`

	// renewBefore is how long before its end a PC begins to renew its certificate. Windows takes whole days, from 1 to 1000
	// (CertificateStore CSP, ROBOSupport); a part of a day is dropped.
	// +optional
	// +kubebuilder:default="1008h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('24h') && duration(self) <= duration('24000h')",message="renewBefore must be between 24h and 24000h (1000 days)"
	RenewBefore metav1.Duration `json:"renewBefore,omitzero"`
}

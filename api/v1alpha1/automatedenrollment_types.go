package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AutomatedEnrollment is one MDM server of Apple Business Manager or Apple School Manager: the Macs, iPads and iPhones that an organisation bought
// enrol with it by themselves when they are switched on for the first time (Automated Device Enrollment, once DEP).
//
// The operator makes a key pair; status.nextStep says in one sentence what a person does next: upload status.publicKeyCertificate in Apple Business
// Manager, download the server token, put it into a Secret. From then on every device that Apple lists for this server is a Device here, labelled with
// what Apple says of it, and gets the first of spec.profiles that selects it.
//
// Deleting an AutomatedEnrollment leaves the Devices, their enrolments, what is assigned at Apple and the Secret with the keys. Devices that are not
// enrolled yet get no profile any more.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm,shortName=ade
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="ORGANIZATION",type=string,JSONPath=`.status.organization.name`
// +kubebuilder:printcolumn:name="DEVICES",type=integer,JSONPath=`.status.devices.listed`
// +kubebuilder:printcolumn:name="ASSIGNED",type=integer,JSONPath=`.status.devices.assigned`
// +kubebuilder:printcolumn:name="TOKEN-EXPIRES",type=string,JSONPath=`.status.tokenNotAfter`
// +kubebuilder:printcolumn:name="NEXT STEP",type=string,JSONPath=`.status.nextStep`,priority=1
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name may have at most 63 characters, since it is the value of a label on Devices"
type AutomatedEnrollment struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is which server the devices enrol with, and how.
	// +required
	Spec AutomatedEnrollmentSpec `json:"spec,omitzero"`

	// status is how far it has come, and what comes next.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status AutomatedEnrollmentStatus `json:"status,omitzero"`
}

// AutomatedEnrollmentSpec is which server the devices of an organisation enrol with, and how.
type AutomatedEnrollmentSpec struct {
	// serverRef is the MDMServer that the devices enrol with.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serverRef is immutable: create another AutomatedEnrollment"
	ServerRef LocalReference `json:"serverRef,omitzero"`

	// keyStorage is where the private key of the token and the token itself are kept: in a Secret, or in a Secret sealed for a key in a KMS
	// (RSA, for decryption), which the manager asks whenever it starts.
	// +optional
	// +kubebuilder:default={type: Secret}
	KeyStorage KeyStorage `json:"keyStorage,omitzero"`

	// tokenSecretRef is the key of a Secret with the server token (.p7m) as Apple Business Manager gives it for the public key. The token in use
	// stays until a better one is accepted.
	// +optional
	TokenSecretRef *KeyReference `json:"tokenSecretRef,omitempty"`

	// acceptConsumerKey allows the token to become that of another server in Apple Business Manager: the one with exactly this consumer key, which the
	// condition TokenAccepted names. Other devices may be listed then, which is why such a token is refused without it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	AcceptConsumerKey string `json:"acceptConsumerKey,omitempty"`

	// renewBefore is how long before its end people are reminded of a token for the first time. Renewing takes a person: a token ends after a year.
	// +optional
	// +kubebuilder:default="1440h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('24h') && duration(self) <= duration('8000h')",message="renewBefore must be between 24h and 8000h"
	RenewBefore metav1.Duration `json:"renewBefore,omitzero"`

	// profiles are what devices do in Setup Assistant. A device gets the first one that names its serial number or selects its Device; one without
	// serialNumbers and selector is for all that are left. A device that none is for gets nothing, and loses what it had of these.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Profiles []SetupProfile `json:"profiles,omitempty"`

	// deviceLabels are put on the Device of every device that Apple lists, so that Profiles select it before it enrols.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	DeviceLabels map[string]string `json:"deviceLabels,omitempty"`

	// syncEvery is how often Apple is asked for changes.
	// +optional
	// +kubebuilder:default="15m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="syncEvery must be between 10s and 24h"
	SyncEvery metav1.Duration `json:"syncEvery,omitzero"`

	// service is the way to Apple's device-enrolment service.
	// +optional
	// +kubebuilder:default={}
	Service AppleEnrollmentService `json:"service,omitzero"`
}

// AppleEnrollmentService is the way to Apple's device-enrolment service.
type AppleEnrollmentService struct {
	// url of the service. Change it only for tests and for proxies.
	// +optional
	// +kubebuilder:default="https://mdmenrollment.apple.com"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="url must be an https URL"
	URL string `json:"url,omitempty"`

	// caConfigMapRef is the certificate (PEM) of the CA that the service's certificate comes from; absent: the public ones.
	// +optional
	CAConfigMapRef *KeyReference `json:"caConfigMapRef,omitempty"`
}

// AutomatedEnrollmentStatus is how far an AutomatedEnrollment has come, and what comes next.
type AutomatedEnrollmentStatus struct {
	CommonStatus `json:",inline"`

	// nextStep says in one sentence what a person does now, and where. Empty: nothing.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	NextStep string `json:"nextStep,omitempty"`

	// publicKeyCertificate (PEM) is the file to upload in Apple Business Manager: Preferences, the MDM server, "Upload Public Key". Apple encrypts
	// the token for it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	PublicKeyCertificate string `json:"publicKeyCertificate,omitempty"`

	// secretRef is the Secret with the private key and the token in use. Nothing in it is ever made twice.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// url is the address that the profiles at Apple give to devices.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`

	// organization is whose token it is.
	// +optional
	Organization *AppleOrganization `json:"organization,omitempty"`

	// consumerKey names the server in Apple Business Manager. Once seen it stays: a token with another one is refused, see spec.acceptConsumerKey.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ConsumerKey string `json:"consumerKey,omitempty"`

	// tokenNotAfter is the end of the token in use. Apple may end it earlier, such as when the person who downloaded it leaves the organisation.
	// +optional
	TokenNotAfter *metav1.Time `json:"tokenNotAfter,omitempty"`

	// lastSyncTime is when Apple last told something new of the devices. Syncs that bring nothing are not written down.
	// +optional
	LastSyncTime *metav1.Time `json:"lastSyncTime,omitempty"`

	// devices counts the devices.
	// +optional
	Devices *AutomatedDevices `json:"devices,omitempty"`

	// profiles are the profiles as they were defined at Apple.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Profiles []SetupProfileStatus `json:"profiles,omitempty"`

	// lastHandledRenew echoes the annotation mdm.kubemdm.io/renew once the new key pair is made.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	LastHandledRenew string `json:"lastHandledRenew,omitempty"`
}

// AppleOrganization is an organisation as Apple knows it.
type AppleOrganization struct {
	// name of the organisation.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// id of the organisation.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ID string `json:"id,omitempty"`

	// serverName is what the MDM server is called in Apple Business Manager.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`

	// serverUUID is the id of the MDM server in Apple Business Manager.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServerUUID string `json:"serverUUID,omitempty"`
}

// AutomatedDevices counts the devices of an AutomatedEnrollment.
type AutomatedDevices struct {
	// listed is how many devices Apple lists for the server.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Listed *int32 `json:"listed,omitempty"`

	// assigned is how many of them have the profile at Apple that they should have.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Assigned *int32 `json:"assigned,omitempty"`

	// unselected is how many of them no profile is for.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Unselected *int32 `json:"unselected,omitempty"`

	// refused is how many assignments Apple refuses, such as of devices that moved to another server meanwhile.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Refused *int32 `json:"refused,omitempty"`
}

// SetupProfileStatus is a profile as it was defined at Apple.
type SetupProfileStatus struct {
	// name of the profile in spec.profiles.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// uuid that Apple gave it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UUID string `json:"uuid,omitempty"`

	// digest of what was defined (hex SHA-256).
	// +optional
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest,omitempty"`

	// devices is how many devices have it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Devices *int32 `json:"devices,omitempty"`
}

// KeySecretName names the Secret with the key pair and the token in use.
func (a *AutomatedEnrollment) KeySecretName() string { return a.Name + "-ade" }

// GetCommonStatus implements Object.
func (a *AutomatedEnrollment) GetCommonStatus() *CommonStatus { return &a.Status.CommonStatus }

// AutomatedEnrollmentList is a list of AutomatedEnrollments.
//
// +kubebuilder:object:root=true
type AutomatedEnrollmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AutomatedEnrollment `json:"items"`
}

package v1alpha1

import (
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MDMServer runs a device management server at a public host name. Devices enrol with it, ask it for commands and keep its
// address for as long as they are enrolled.
//
// Deleting an MDMServer stops the server. It touches no device, and the Secrets that hold its key material and the volume that holds its
// state stay: an MDMServer of the same name and host takes them up again.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="HOST",type=string,JSONPath=`.spec.host`
// +kubebuilder:printcolumn:name="ENROLLED",type=integer,JSONPath=`.status.enrolled`
// +kubebuilder:printcolumn:name="BEHIND",type=integer,JSONPath=`.status.behind`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40",message="the name may have at most 40 characters, since the names of what the server owns are built from it"
type MDMServer struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the server should be.
	// +required
	Spec MDMServerSpec `json:"spec,omitzero"`

	// status is what the server is.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status MDMServerStatus `json:"status,omitzero"`
}

// MDMServerSpec is what a server should be.
//
// +kubebuilder:validation:XValidation:rule="self.storage.type != 'SQLite' || self.replicas <= 1",message="SQLite storage allows one replica, or none to stop the server"
// +kubebuilder:validation:XValidation:rule="!has(self.storage.postgresql) || self.replicas == 0 || self.storage.postgresql.maxConnections >= 4 * (self.replicas + 1)",message="storage.postgresql.maxConnections must be at least 4 for each replica, and 4 for the one that there is more while pods are replaced"
// +kubebuilder:validation:XValidation:rule="self.storage.type == oldSelf.storage.type || oldSelf.storage.type == 'SQLite' && self.replicas == 0 && oldSelf.replicas == 0",message="storage can change from SQLite to PostgreSQL only, and only while replicas is 0: \"kubectl mdm migrate-store\" does it and takes along what is stored"
// +kubebuilder:validation:XValidation:rule="!has(self.storage.postgresql) || !has(oldSelf.storage.postgresql) || self.storage.postgresql.secretRef == oldSelf.storage.postgresql.secretRef || self.replicas == 0 && oldSelf.replicas == 0",message="storage.postgresql.secretRef can change only while replicas is 0: pods that are replaced one after the other would write to two databases"
// +kubebuilder:validation:XValidation:rule="has(self.apple) || has(self.windows)",message="say which devices are served: apple, windows or both"
// +kubebuilder:validation:XValidation:rule="!has(self.windows) || !has(self.windows.managementHost) || self.windows.managementHost.split(':')[0] != self.host.split(':')[0]",message="windows.managementHost must be another name than host: only by the name can the server tell where to ask for certificates"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.windows) || !has(oldSelf.windows.managementHost) || has(self.windows)",message="windows cannot be taken away with its managementHost: it could come back with another one, where enrolled PCs would not find the server"
// +kubebuilder:validation:XValidation:rule="!has(self.enrollmentPage) || !has(self.enrollmentPage.signInTokenRef) || has(self.apple) && has(self.apple.signIn)",message="enrollmentPage.signInTokenRef needs apple.signIn: it says where people sign in"
type MDMServerSpec struct {
	// host is the public DNS name of the server, with ":port" only if the port is not 443. Devices remember it and refuse a server that
	// moves, so it can never be changed: choose a name that you will keep.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=259
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*(:[1-9][0-9]{0,4})?$`
	// +kubebuilder:validation:XValidation:rule="!self.contains(':') || int(self.split(':')[1]) <= 65535",message="a port is at most 65535"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="host is immutable: enrolled devices would refuse the server"
	Host string `json:"host,omitempty"`

	// organization is shown to people when they enrol a device, and in the device's list of profiles.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Organization string `json:"organization,omitempty"`

	// replicas is the number of server pods; 0 stops the server and changes nothing on devices. SQLite storage allows one. With PostgreSQL storage 2 or more
	// serve devices without a gap while a pod is replaced or a node fails; the default is 1 there too, so that a change of the storage starts no pod that
	// nobody asked for.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	Replicas *int32 `json:"replicas,omitempty"`

	// image overrides the server image that belongs to the installed version of the operator.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`

	// storage is where the server keeps its state. It can change from SQLite to PostgreSQL only, while replicas is 0: "kubectl mdm migrate-store" does it.
	// +optional
	// +kubebuilder:default={type: SQLite}
	Storage Storage `json:"storage,omitzero"`

	// tls says where the certificate comes from that devices see.
	// +optional
	// +kubebuilder:default={type: SelfSigned}
	TLS ServingTLS `json:"tls,omitzero"`

	// apple serves Apple devices. {} takes the defaults; absent: none are served.
	// +optional
	Apple *AppleServer `json:"apple,omitempty"`

	// windows serves Windows devices. {} takes the defaults; absent: none are served.
	// +optional
	Windows *WindowsServer `json:"windows,omitempty"`

	// enrollmentPage is what people see who open the server's address to enrol a device.
	// +optional
	EnrollmentPage EnrollmentPage `json:"enrollmentPage,omitzero"`

	// exposure is how devices reach the server from outside the cluster.
	// +optional
	// +kubebuilder:default={}
	Exposure Exposure `json:"exposure,omitzero"`

	// silentAfter is how long a device may keep silent before its condition Responding turns False.
	// +optional
	// +kubebuilder:default="168h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="silentAfter must be at least 1m"
	SilentAfter metav1.Duration `json:"silentAfter,omitzero"`

	// resources of the server container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// nodeSelector restricts the nodes that the server runs on.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations let the server run on tainted nodes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// TLSType selects a member of ServingTLS.
//
// +kubebuilder:validation:Enum=SelfSigned;Issuer;Secret
type TLSType string

// The sources of a serving certificate.
const (
	// TLSSelfSigned is for demos: devices trust it by an anchor in the enrolment profile, but people have to accept that profile first.
	TLSSelfSigned TLSType = "SelfSigned"
	// TLSIssuer asks a cert-manager issuer.
	TLSIssuer TLSType = "Issuer"
	// TLSSecret takes the certificate from a Secret that somebody else looks after.
	TLSSecret TLSType = "Secret"
)

// ServingTLS says where the certificate comes from that devices see. Use one that devices trust by themselves; a self-signed one is for demos.
//
// +kubebuilder:validation:XValidation:rule="has(self.issuerRef) == (self.type == 'Issuer')",message="issuerRef is required with type Issuer and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) == (self.type == 'Secret')",message="secretRef is required with type Secret and not allowed with another type"
type ServingTLS struct {
	// type is the source of the certificate.
	// +unionDiscriminator
	// +optional
	// +kubebuilder:default=SelfSigned
	Type TLSType `json:"type,omitempty"`

	// issuerRef is the cert-manager issuer that issues the certificate.
	// +optional
	IssuerRef *cmmeta.IssuerReference `json:"issuerRef,omitempty"`

	// secretRef is a Secret of type kubernetes.io/tls with the certificate, its chain and its key. A new content is served at once.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
}

// AppleServer serves Apple devices.
type AppleServer struct {
	// apnsCertificateRef is the APNSCertificate with which devices are woken. Without it devices cannot enrol, since its topic is part of
	// every enrolment.
	// +optional
	APNSCertificateRef *LocalReference `json:"apnsCertificateRef,omitempty"`

	// identity configures the certificates by which the server knows its devices.
	// +optional
	// +kubebuilder:default={validity: "8760h", renewBefore: "4320h", caValidity: "87600h"}
	Identity AppleIdentity `json:"identity,omitzero"`

	// accessRights is the sum of what the server may do on devices that enrol from now on; 8191 is all
	// (1 inspect and 2 install configuration profiles, 4 lock and clear passcodes, 8 erase, 16 device and 32 network information, 64 inspect
	// and 128 install provisioning profiles, 256 list applications, 512 restriction and 1024 security queries, 2048 settings, 4096 manage applications).
	// Devices that are enrolled keep the rights they enrolled with.
	// +optional
	// +kubebuilder:default=8191
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8191
	// +kubebuilder:validation:XValidation:rule="(self / 2) % 2 == 0 || self % 2 == 1",message="right 2 (install profiles) needs right 1 (inspect profiles)"
	// +kubebuilder:validation:XValidation:rule="(self / 128) % 2 == 0 || (self / 64) % 2 == 1",message="right 128 (install provisioning profiles) needs right 64 (inspect provisioning profiles)"
	AccessRights int32 `json:"accessRights,omitempty"`

	// signIn is where people sign in when a setup-assistant profile of an AutomatedEnrollment asks them to; absent: none may ask.
	// +optional
	SignIn *SignIn `json:"signIn,omitempty"`

	// deviceCAConfigMapRef are the certificates (PEM) of the CAs that vouch for devices in Setup Assistant; absent: Apple's. Change it only for tests.
	// +optional
	DeviceCAConfigMapRef *KeyReference `json:"deviceCAConfigMapRef,omitempty"`

	// push configures the way to Apple's push service.
	// +optional
	// +kubebuilder:default={}
	Push ApplePush `json:"push,omitzero"`

	// imports are the servers that devices were enrolled by before "kubectl mdm import" took them over. Their paths are served, and the certificates that
	// they issued are trusted for the imported devices, until each of those has renewed its own.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Imports []AppleImport `json:"imports,omitempty"`
}

// ApplePush configures the way to Apple's push service.
type ApplePush struct {
	// url of the push service. Change it only for tests and for proxies.
	// +optional
	// +kubebuilder:default="https://api.push.apple.com"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="url must be an https URL"
	URL string `json:"url,omitempty"`

	// caConfigMapRef is the certificate (PEM) of the CA that the push service's certificate comes from; absent: the public ones.
	// +optional
	CAConfigMapRef *KeyReference `json:"caConfigMapRef,omitempty"`
}

// MDMServerStatus is what a server is.
type MDMServerStatus struct {
	CommonStatus `json:",inline"`

	// url is the address that devices use.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`

	// replicas is the number of server pods there are.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// readyReplicas is the number of server pods that serve.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReadyReplicas *int32 `json:"readyReplicas,omitempty"`

	// selector selects the server pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Selector string `json:"selector,omitempty"`

	// version of the running server; of several replicas, the oldest that runs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Version string `json:"version,omitempty"`

	// storeEpoch identifies the server's store: all replicas have the same. It is another one after a start from nothing, and after every restore or failover
	// that may have lost something.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	StoreEpoch string `json:"storeEpoch,omitempty"`

	// certificates of the server with their ends. A generation of a CA that is listed here is never made anew.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Certificates []ServerCertificate `json:"certificates,omitempty"`

	// sealingKeys are the ids of the keys that have sealed stored data. A key that is listed here is never made anew.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	SealingKeys []string `json:"sealingKeys,omitempty"`

	// pushTopic is the topic of the APNs certificate that the server pushes with.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PushTopic string `json:"pushTopic,omitempty"`

	// enrolled counts the enrolled devices.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Enrolled *int32 `json:"enrolled,omitempty"`

	// behind counts the enrolled devices that the server is waking: work waits for them, or nothing was heard of them for half of spec.silentAfter.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Behind *int32 `json:"behind,omitempty"`

	// responding counts the enrolled devices that were heard from within spec.silentAfter.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Responding *int32 `json:"responding,omitempty"`
}

// CARole is what a generation of a CA for devices does.
//
// +kubebuilder:validation:Enum=Next;Active;Retired
type CARole string

// The roles of a generation.
const (
	// CARoleNext is trusted and does not issue yet.
	CARoleNext CARole = "Next"
	// CARoleActive is trusted and issues.
	CARoleActive CARole = "Active"
	// CARoleRetired is trusted until the last certificate it issued has expired.
	CARoleRetired CARole = "Retired"
)

// ServerCertificate is one certificate of a server.
type ServerCertificate struct {
	// name is Serving, Push, Admin, IdentityCA-<generation> (Apple) or WSTEPCA-<generation> (Windows).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`

	// role of a generation of a CA.
	// +optional
	Role CARole `json:"role,omitempty"`

	// fingerprint is the lower-case hex SHA-256 of the certificate.
	// +optional
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// notAfter is the end of the certificate.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
}

// APNSCertificate is spec.apple.apnsCertificateRef, or nil.
func (s *MDMServer) APNSCertificate() *LocalReference {
	if s.Spec.Apple == nil {
		return nil
	}
	return s.Spec.Apple.APNSCertificateRef
}

// GetCommonStatus implements Object.
func (s *MDMServer) GetCommonStatus() *CommonStatus { return &s.Status.CommonStatus }

// MDMServerList is a list of MDMServers.
//
// +kubebuilder:object:root=true
type MDMServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MDMServer `json:"items"`
}

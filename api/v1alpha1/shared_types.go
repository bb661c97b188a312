package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Finalizer holds an object until what it stands for was handed to the protocol server.
const Finalizer = "mdm.kubemdm.io/finalizer"

// Annotations that people set.
const (
	// AnnotationPaused with the value "true" stops reconciling an object, deletion included, until it is taken off.
	AnnotationPaused = "mdm.kubemdm.io/paused"
	// AnnotationRequestedAt asks for a reconcile now. Any new value does (a timestamp is usual); status.lastHandledRequest echoes it once done.
	AnnotationRequestedAt = "mdm.kubemdm.io/requested-at"
	// AnnotationRelease on a Device ends the enrolment that its value names (status.enrollment.id) at the server, so that a new identity may
	// enrol the device. It hits no other enrolment.
	AnnotationRelease = "mdm.kubemdm.io/release"
	// AnnotationRenew on an APNSCertificate starts a new request for every new value, and gives up the one that waits. On an AutomatedEnrollment it makes a
	// new key pair, beside the one in use until a token for it is accepted.
	AnnotationRenew = "mdm.kubemdm.io/renew"
	// AnnotationResendRequest on an APNSCertificate sends the request that waits to mdmcert.download again for every new value.
	AnnotationResendRequest = "mdm.kubemdm.io/resend-request"
	// AnnotationRotateIdentityCA on an MDMServer starts a new generation of the device-identity CA (Apple) for every new value.
	AnnotationRotateIdentityCA = "mdm.kubemdm.io/rotate-identity-ca"
	// AnnotationRotateWSTEPCA on an MDMServer starts a new generation of the WSTEP CA (Windows) for every new value.
	AnnotationRotateWSTEPCA = "mdm.kubemdm.io/rotate-wstep-ca"
)

// Labels that controllers set.
const (
	// LabelServer names the MDMServer that an object belongs to.
	LabelServer = "mdm.kubemdm.io/server"
	// LabelDiscovered with the value "true" tells a Device that a controller made of an enrolment from those that people declare.
	LabelDiscovered = "mdm.kubemdm.io/discovered"
	// LabelAutomatedEnrollment names the AutomatedEnrollment that lists the Device.
	LabelAutomatedEnrollment = "mdm.kubemdm.io/automated-enrollment"
	// LabelFamily and LabelModel are what Apple says of a listed Device (Mac, MacBook-Pro-14): with "-" for what a label cannot hold.
	LabelFamily = "mdm.kubemdm.io/family"
	LabelModel  = "mdm.kubemdm.io/model"
	// LabelListing is Listed, or Left once Apple does not list the Device any more.
	LabelListing = "mdm.kubemdm.io/listing"
)

// Object is what all kinds of this package have in common; controllers run every kind through the same engine by it.
//
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	runtime.Object
	// GetCommonStatus points at the part of the status that every kind has.
	GetCommonStatus() *CommonStatus
	// KnownConditions are the condition types that are always present, Unknown until first observed. The others (abnormal when True) appear
	// only while they are True.
	KnownConditions() []string
}

// Conditions of every kind, as kstatus reads them (sigs.k8s.io/cli-utils/pkg/kstatus).
const (
	// ConditionReady is True when the operator has done its duty for the current generation. It sums up the kind's own conditions; whether the fleet
	// has followed is never part of it.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the operator works towards the current generation, and absent otherwise.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when only a person can help, and absent otherwise.
	ConditionStalled = "Stalled"
)

// Reasons that any condition of any kind may carry.
const (
	// ReasonPending: not observed yet. Wait.
	ReasonPending = "Pending"
	// ReasonReady: all is well. Nothing to do.
	ReasonReady = "Ready"
	// ReasonPaused: the object carries the annotation mdm.kubemdm.io/paused. Remove the annotation to go on.
	ReasonPaused = "Paused"
	// ReasonInvalid: the spec contradicts itself in a way the message spells out field by field. Correct the spec.
	ReasonInvalid = "Invalid"
	// ReasonError: a step failed and is tried again with growing pauses. If it does not pass, the message says what to look at.
	ReasonError = "Error"
	// ReasonDeleting: the object is being deleted and hands over what it stands for. Wait.
	ReasonDeleting = "Deleting"
	// ReasonServerNotFound: spec.serverRef names no MDMServer in this namespace. Create it or correct the name.
	ReasonServerNotFound = "ServerNotFound"
	// ReasonServerUnreachable: the server's internal API does not answer. Nothing is lost; see the conditions of the MDMServer if it lasts.
	ReasonServerUnreachable = "ServerUnreachable"
	// ReasonAnotherManager: the server obeys a manager that became leader later. Stop the second installation, if there is one.
	ReasonAnotherManager = "AnotherManager"
	// ReasonSecretNotFound: a Secret that the spec names does not exist. Create it, or correct the name.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: a Secret or ConfigMap exists but lacks the key that the spec names. Add the key, or correct the spec.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonConfigMapNotFound: a ConfigMap that the spec names does not exist. Create it, or correct the name.
	ReasonConfigMapNotFound = "ConfigMapNotFound"
)

// Events of several kinds that are about no condition.
const (
	// EventNextStep: what a person does next has changed. The note repeats status.nextStep.
	EventNextStep = "NextStep"
)

// Patience says whether a reason asks for nothing but patience: things go their ordinary way, whatever the status of the condition.
func Patience(reason string) bool {
	return slices.Contains([]string{
		ReasonPending, ReasonDeleting, MDMServerRotating, MDMServerRollingOut, DeviceEnrollmentPending, ProfileRollingOut, ProfileRemoving, DeviceCommandRunning,
		APNSCertificateAwaitingVendor, APNSCertificateAwaitingMail, APNSCertificateAwaitingUpload, APNSCertificateAwaitingCertificate,
		AutomatedEnrollmentAwaitingToken, AutomatedEnrollmentSyncing, AutomatedEnrollmentThrottled, DeviceAwaitingConfiguration,
	}, reason)
}

// CommonStatus is the part of the status that every kind has.
type CommonStatus struct {
	// conditions say how things are and, when they are not well, what to do next.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of; -1 until it was looked at, so that kstatus does not take a new object
	// for one that is in order.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"` //nolint:kubeapilinter // every kind of Kubernetes has it as a number; 0 is no generation

	// lastHandledRequest echoes the annotation mdm.kubemdm.io/requested-at once the reconcile that it asked for is over.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	LastHandledRequest string `json:"lastHandledRequest,omitempty"`
}

// LocalReference names an object of a known kind in the same namespace.
type LocalReference struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// KeyReference names one key of a Secret or ConfigMap in the same namespace.
type KeyReference struct {
	// name of the Secret or ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key inside it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// Platform is a family of devices with a management protocol of its own.
//
// +kubebuilder:validation:Enum=Apple;Windows
type Platform string

// The platforms.
const (
	// PlatformApple is macOS, iOS, iPadOS, tvOS, watchOS and visionOS.
	PlatformApple Platform = "Apple"
	// PlatformWindows is Windows 10 and 11.
	PlatformWindows Platform = "Windows"
)

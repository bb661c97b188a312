package status

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// Status is what "kubectl mdm status -o json" prints. Fields may be added to it; none changes its meaning.
type Status struct {
	// Time is when it was read.
	Time time.Time `json:"time"`
	// Namespace is empty if it is about all of them.
	Namespace string   `json:"namespace,omitempty"`
	Servers   []Server `json:"servers"`
	// Certificates have the one first that ends first, tokens of Apple Business Manager among them.
	Certificates []Certificate `json:"certificates"`
	Fleet        Fleet         `json:"fleet"`
	// Needs is what needs a person, all of it.
	Needs []look.Need `json:"needs"`
	// Missing says in a line each what could not be read, and why.
	Missing []string `json:"missing,omitempty"`
}

// Server is an MDMServer.
type Server struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Ready is True, False or Unknown.
	Ready   string `json:"ready"`
	Reason  string `json:"reason,omitempty"`
	Version string `json:"version,omitempty"`
	Host    string `json:"host"`
	// Trust is SelfSigned, PrivateCA or PublicCA.
	Trust      string `json:"trust,omitempty"`
	Enrolled   int32  `json:"enrolled"`
	Responding int32  `json:"responding"`
	Behind     int32  `json:"behind"`
}

// Certificate is one that ends, or a token.
type Certificate struct {
	// Kind, Namespace and Name are of the object whose status tells of it.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// What is Serving, Push, IdentityCA-<n>, WSTEPCA-<n> or Token.
	What string `json:"what"`
	// Role of a generation of a CA: Next, Active or Retired.
	Role     string      `json:"role,omitempty"`
	NotAfter metav1.Time `json:"notAfter"`
	// DaysLeft is negative once it has ended.
	DaysLeft int `json:"daysLeft"`
	// Soon says that it ends within 30 days, and that this matters.
	Soon bool `json:"soon,omitempty"`
}

// Fleet counts.
type Fleet struct {
	Devices  []Devices `json:"devices"`
	Profiles Profiles  `json:"profiles"`
	Commands Commands  `json:"commands"`
}

// Devices counts those of one platform. Each is in exactly one of enrolled, pending, ended and awaited.
type Devices struct {
	// Platform is Apple, Windows, or Unknown before the device has told.
	Platform string `json:"platform"`
	Total    int    `json:"total"`
	Enrolled int    `json:"enrolled"`
	Pending  int    `json:"pending"`
	Ended    int    `json:"ended"`
	Awaited  int    `json:"awaited"`
	// Silent and Failing count those of the enrolled ones that were not heard of for too long, and that refuse a Profile.
	Silent  int `json:"silent"`
	Failing int `json:"failing"`
}

// Profiles counts. Each is in exactly one of converged, behind, failing and notPublished.
type Profiles struct {
	Total     int `json:"total"`
	Converged int `json:"converged"`
	// Behind: devices have yet to get or lose it.
	Behind int `json:"behind"`
	// Failing: devices refuse it.
	Failing      int `json:"failing"`
	NotPublished int `json:"notPublished"`
}

// Commands counts the DeviceCommands that there are. Each is in exactly one of running, succeeded and failed.
type Commands struct {
	Total     int `json:"total"`
	Running   int `json:"running"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
}

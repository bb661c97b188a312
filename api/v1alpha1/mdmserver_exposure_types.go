package v1alpha1

// Exposure is how devices reach a server from outside the cluster. There is always a Service; an Ingress or a Gateway route is made when it is asked for.
type Exposure struct {
	// service configures the Service that devices, or what is in front of the server, connect to.
	// +optional
	// +kubebuilder:default={}
	Service ServiceExposure `json:"service,omitzero"`

	// ingress makes an Ingress for the host. The controller must pass request headers of up to 32 KiB.
	// +optional
	Ingress *IngressExposure `json:"ingress,omitempty"`

	// gateway makes a Gateway API TLSRoute for the host, which passes TLS through to the server.
	// +optional
	Gateway *GatewayExposure `json:"gateway,omitempty"`
}

// ServiceType is the type of the Service that devices connect to.
//
// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
type ServiceType string

// The types of a Service, as Kubernetes names them.
const (
	ServiceClusterIP    ServiceType = "ClusterIP"
	ServiceNodePort     ServiceType = "NodePort"
	ServiceLoadBalancer ServiceType = "LoadBalancer"
)

// ServiceExposure configures the Service that devices connect to.
//
// +kubebuilder:validation:XValidation:rule="!has(self.nodePort) || self.type != 'ClusterIP'",message="nodePort is allowed with type NodePort or LoadBalancer only"
type ServiceExposure struct {
	// type of the Service.
	// +optional
	// +kubebuilder:default=ClusterIP
	Type ServiceType `json:"type,omitempty"`

	// port of the Service.
	// +optional
	// +kubebuilder:default=443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// nodePort is the port on every node; absent: Kubernetes chooses one.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort,omitempty"`

	// annotations of the Service, as load balancers want them.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// IngressExposure makes an Ingress.
type IngressExposure struct {
	// className of the Ingress; absent: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClassName string `json:"className,omitempty"`

	// annotations of the Ingress. They win over the ones that the operator sets.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// GatewayExposure makes a TLSRoute.
type GatewayExposure struct {
	// parentRefs are the Gateways that the route attaches to.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ParentRefs []GatewayReference `json:"parentRefs,omitempty"`
}

// GatewayReference names a Gateway. It may be in another namespace: the Gateway itself says which namespaces it takes routes from.
type GatewayReference struct {
	// name of the Gateway.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// namespace of the Gateway; absent: that of the MDMServer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// sectionName is the listener of the Gateway; absent: every listener that takes the route.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SectionName string `json:"sectionName,omitempty"`
}

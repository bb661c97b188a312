package owned

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Service is what devices, or what stands in front of the server, connect to.
func (s Server) Service() *corev1.Service {
	exposure := s.Spec.Exposure.Service
	meta := s.meta(s.Name)
	meta.Annotations = exposure.Annotations
	return &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		Type:     corev1.ServiceType(exposure.Type),
		Selector: s.Selector(),
		Ports: []corev1.ServicePort{{
			Name: "https", Port: exposure.Port, NodePort: exposure.NodePort, TargetPort: intstr.FromString("devices"), Protocol: corev1.ProtocolTCP,
		}},
	}}
}

// AdminService is the internal API's, with the health port for Prometheus.
func (s Server) AdminService() *corev1.Service {
	return &corev1.Service{ObjectMeta: s.meta(s.AdminName()), Spec: corev1.ServiceSpec{
		Type:     corev1.ServiceTypeClusterIP,
		Selector: s.Selector(),
		Ports: []corev1.ServicePort{
			{Name: AdminPortName, Port: portAdmin, TargetPort: intstr.FromString(AdminPortName), Protocol: corev1.ProtocolTCP},
			{Name: "health", Port: portHealth, TargetPort: intstr.FromString("health"), Protocol: corev1.ProtocolTCP},
		},
	}}
}

// NetworkPolicy lets devices in from everywhere and the manager to the internal API, and lets the server out to DNS, to push services, to the
// issuers at which people sign in and to its database.
func (s Server) NetworkPolicy() *networkingv1.NetworkPolicy {
	manager := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.ManagerNamespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{labelName: "kubemdm"}},
	}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: s.meta(s.Name), Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: s.Selector()},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		Ingress: []networkingv1.NetworkPolicyIngressRule{
			{Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, portDevices)}},
			{Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, portAdmin)}, From: []networkingv1.NetworkPolicyPeer{manager}},
			{
				Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, portHealth)},
				From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}},
			},
		},
		Egress: []networkingv1.NetworkPolicyEgressRule{
			{Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, 53), port(corev1.ProtocolTCP, 53)}},
		},
	}}
	// A rule without ports would allow them all.
	if ports := s.outbound(); len(ports) > 0 {
		policy.Spec.Egress = append(policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{Ports: ports})
	}
	return policy
}

// outbound are the ports of the services that the server calls: Apple's push service has two (443 and 2197), others the one of their URL.
func (s Server) outbound() []networkingv1.NetworkPolicyPort {
	numbers := slices.Clone(s.DatabasePorts)
	if apple := s.Spec.Apple; apple != nil {
		numbers = append(numbers, portHTTPS, 2197, urlPort(apple.Push.URL))
		if apple.SignIn != nil {
			numbers = append(numbers, urlPort(apple.SignIn.IssuerURL))
		}
	}
	if s.Spec.Windows != nil && s.Spec.Windows.SignIn != nil {
		numbers = append(numbers, urlPort(s.Spec.Windows.SignIn.IssuerURL))
	}
	slices.Sort(numbers)
	var ports []networkingv1.NetworkPolicyPort
	for _, n := range slices.Compact(numbers) {
		ports = append(ports, port(corev1.ProtocolTCP, n))
	}
	return ports
}

// urlPort is the port of an https URL.
func urlPort(text string) int {
	if u, err := url.Parse(text); err == nil {
		if n, err := strconv.Atoi(u.Port()); err == nil {
			return n
		}
	}
	return portHTTPS
}

func port(protocol corev1.Protocol, n int) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: ptr.To(intstr.FromInt(n))}
}

// PodDisruptionBudget keeps all but one of several pods up. A single pod has none, since it would hold up every drain of a node.
func (s Server) PodDisruptionBudget() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: s.meta(s.Name), Spec: policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: ptr.To(intstr.FromInt(1)),
		Selector:       &metav1.LabelSelector{MatchLabels: s.Selector()},
	}}
}

// Ingress hands requests for the hosts on to the server. Requests carry their signature in a header of several KiB: where the controller
// can pass TLS through, no limit of its own applies, and the devices see the server's certificate.
func (s Server) Ingress() *networkingv1.Ingress {
	exposure := s.Spec.Exposure.Ingress
	meta := s.meta(s.Name)
	meta.Annotations = merged(map[string]string{
		"nginx.ingress.kubernetes.io/ssl-passthrough":  "true",
		"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
		"nginx.ingress.kubernetes.io/proxy-body-size":  "16m",
	}, exposure.Annotations)
	ingress := &networkingv1.Ingress{ObjectMeta: meta, Spec: networkingv1.IngressSpec{
		TLS: []networkingv1.IngressTLS{{Hosts: s.Hostnames(), SecretName: s.ServingSecret()}},
	}}
	everything := networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
		Path: "/", PathType: ptr.To(networkingv1.PathTypePrefix),
		Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: s.Name, Port: networkingv1.ServiceBackendPort{Name: "https"}}},
	}}}}
	for _, host := range s.Hostnames() {
		ingress.Spec.Rules = append(ingress.Spec.Rules, networkingv1.IngressRule{Host: host, IngressRuleValue: everything})
	}
	if exposure.ClassName != "" {
		ingress.Spec.IngressClassName = &exposure.ClassName
	}
	return ingress
}

// TLSRoute passes TLS for the hosts through to the server.
func (s Server) TLSRoute() *gatewayv1.TLSRoute {
	route := &gatewayv1.TLSRoute{ObjectMeta: s.meta(s.Name)}
	for _, p := range s.Spec.Exposure.Gateway.ParentRefs {
		parent := gatewayv1.ParentReference{Name: gatewayv1.ObjectName(p.Name)}
		if p.Namespace != "" {
			parent.Namespace = ptr.To(gatewayv1.Namespace(p.Namespace))
		}
		if p.SectionName != "" {
			parent.SectionName = ptr.To(gatewayv1.SectionName(p.SectionName))
		}
		route.Spec.ParentRefs = append(route.Spec.ParentRefs, parent)
	}
	for _, host := range s.Hostnames() {
		route.Spec.Hostnames = append(route.Spec.Hostnames, gatewayv1.Hostname(host))
	}
	route.Spec.Rules = []gatewayv1.TLSRouteRule{{BackendRefs: []gatewayv1.BackendRef{{BackendObjectReference: gatewayv1.BackendObjectReference{
		Name: gatewayv1.ObjectName(s.Name), Port: ptr.To(s.Spec.Exposure.Service.Port),
	}}}}}
	return route
}

// Hostnames are those by which devices call the server, without ports: the host and, if there is another one, that of management sessions.
func (s Server) Hostnames() []string {
	hosts := []string{s.Spec.Host}
	if s.Spec.Windows != nil && s.Spec.Windows.ManagementHost != "" {
		hosts = append(hosts, s.Spec.Windows.ManagementHost)
	}
	for i, host := range hosts {
		hosts[i], _, _ = strings.Cut(host, ":")
	}
	return hosts
}

// Package servers tests the controllers of MDMServer, APNSCertificate and EnrollmentToken on the real API server, with a real protocol
// server behind them. The tests call the reconcilers and play cert-manager, the StatefulSet controller and kubelet.
package servers

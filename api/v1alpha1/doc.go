// Package v1alpha1 is the vocabulary of KubeMDM: the kinds of API group mdm.kubemdm.io that an administrator writes, their conditions and the reasons in them.
//
// All kinds are namespaced and every reference stays inside its namespace: whoever may write to a namespace manages its devices and nothing else,
// so tenancy is RBAC on namespaces.
//
// +kubebuilder:object:generate=true
// +groupName=mdm.kubemdm.io
package v1alpha1

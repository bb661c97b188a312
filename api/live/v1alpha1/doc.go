// Package v1alpha1 is the vocabulary of live.mdm.kubemdm.io: what is too detailed for etcd and is asked of the servers at the moment of the question.
//
// +kubebuilder:object:generate=true
// +groupName=live.mdm.kubemdm.io
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kubemdm.mdm.live.v1alpha1
package v1alpha1

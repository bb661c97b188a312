package apns

import (
	"cmp"
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// users are the servers that push with a certificate, by name.
type users struct {
	servers []mdmv1alpha1.MDMServer
	// unknown is why they cannot be told; it keeps nothing else from being shown.
	unknown string
}

func usersOf(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate) users {
	list := &mdmv1alpha1.MDMServerList{}
	if err := s.List(ctx, list, client.InNamespace(c.Namespace)); err != nil {
		if apierrors.IsForbidden(err) {
			return users{unknown: "you lack the right to list mdmservers.mdm.kubemdm.io"}
		}
		return users{unknown: err.Error()}
	}
	return users{servers: using(list.Items, c)}
}

// using picks the servers that name a certificate.
func using(servers []mdmv1alpha1.MDMServer, c *mdmv1alpha1.APNSCertificate) []mdmv1alpha1.MDMServer {
	picked := slices.DeleteFunc(slices.Clone(servers), func(server mdmv1alpha1.MDMServer) bool {
		ref := server.APNSCertificate()
		return server.Namespace != c.Namespace || ref == nil || ref.Name != c.Name
	})
	slices.SortFunc(picked, func(a, b mdmv1alpha1.MDMServer) int { return cmp.Compare(a.Name, b.Name) })
	return picked
}

// loaded says whether a server pushes with the certificate in use, and how it is if not.
func loaded(server *mdmv1alpha1.MDMServer, c *mdmv1alpha1.APNSCertificate) (look.State, string) {
	handed := slices.ContainsFunc(server.Status.Certificates, func(one mdmv1alpha1.ServerCertificate) bool {
		return one.Name == "Push" && one.Fingerprint == c.Status.Fingerprint
	})
	ready := meta.FindStatusCondition(server.Status.Conditions, mdmv1alpha1.MDMServerPushReady)
	switch {
	case c.Status.Fingerprint == "":
		return look.Waits, "waits for the certificate"
	case ready == nil || ready.Status == metav1.ConditionTrue && !handed:
		return look.Waits, "has not loaded the certificate yet; it does by itself, without a restart"
	case ready.Status == metav1.ConditionTrue:
		return look.Well, "has loaded it, topic " + server.Status.PushTopic
	}
	return stateOf(ready), ready.Message
}

package apns

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

const long = `The push certificate, with which servers wake Apple devices.

An APNSCertificate is requested in five steps, and renewed each year by the same ones:

  1. The operator makes a key and a certificate request.
  2. An MDM vendor signs the request: your own vendor certificate in a Secret, mdmcert.download, or a vendor that you give it to.
  3. You upload the signed request at https://identity.apple.com/pushcert: Create the first time, Renew ever after.
  4. You hand over what Apple returns.
  5. The operator checks it and gives it to the servers.

"status" shows where a certificate is and what comes next.`

// Command is "kubectl mdm apns".
func Command(e *cli.Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "apns",
		Short: "Request, renew and look after push certificates",
		Long:  long,
		Example: `  # From nothing to a certificate, with your own vendor certificate in the Secret vendor
  kubectl mdm apns request push --create --vendor-secret vendor --apple-account mdm@example.com
  kubectl mdm apns import push MDM_Example_Certificate.pem

  # Where it is, and what comes next
  kubectl mdm apns status push`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(requestCommand(e), importCommand(e), statusCommand(e), mdmcertCommand(e))
	return c
}

// complete completes the name of an APNSCertificate.
func complete(e *cli.Env) cobra.CompletionFunc {
	return e.Names(func() client.ObjectList { return &mdmv1alpha1.APNSCertificateList{} })
}

// find reads the certificate of a name.
func find(ctx context.Context, s *cli.Session, name string) (*mdmv1alpha1.APNSCertificate, error) {
	c := &mdmv1alpha1.APNSCertificate{}
	err := s.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, c)
	if isAbsent(err) {
		return nil, fmt.Errorf("there is no APNSCertificate %s in the namespace %s: kubectl mdm apns status -A lists all, kubectl mdm apns request %s --create makes it", name, s.Namespace, name)
	}
	return c, err
}

// isAbsent says whether an object is not there, while its kind is.
func isAbsent(err error) bool {
	return apierrors.IsNotFound(err) && !cli.KindUnknown(err)
}

// named reads the certificate that the arguments name, or the only one in the namespace.
func named(ctx context.Context, s *cli.Session, args []string) (*mdmv1alpha1.APNSCertificate, error) {
	if len(args) > 0 {
		return find(ctx, s, args[0])
	}
	list := &mdmv1alpha1.APNSCertificateList{}
	if err := s.List(ctx, list, client.InNamespace(s.Namespace)); err != nil {
		return nil, err
	}
	switch len(list.Items) {
	case 0:
		return nil, fmt.Errorf("there is no APNSCertificate in the namespace %s: name another one with --namespace, or make it with kubectl mdm apns request NAME --create", s.Namespace)
	case 1:
		return &list.Items[0], nil
	}
	var names []string
	for _, c := range list.Items {
		names = append(names, c.Name)
	}
	return nil, fmt.Errorf("there are several APNSCertificates in the namespace %s, so name one: %s", s.Namespace, strings.Join(names, ", "))
}

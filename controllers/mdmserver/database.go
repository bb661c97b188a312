package mdmserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// portPostgreSQL is that of a database whose Secret names none.
const portPostgreSQL = 5432

// database looks at what people give a server to reach its database. The pods mount it themselves, and wait for what is missing; the server goes on with what
// it had if it goes away. ports are those of the database as far as they are known.
func (r *Reconciler) database(ctx context.Context, server *mdmv1alpha1.MDMServer) (ports []int, wrong *fault, err error) {
	given := server.Spec.Storage.PostgreSQL
	if given == nil {
		return nil, nil, nil
	}
	ports = []int{portPostgreSQL}
	secret, err := owned.GetSecret(ctx, r.Client, server.Namespace, given.SecretRef.Name)
	if err != nil {
		return nil, nil, err
	}
	if secret != nil {
		ports = databasePorts(secret)
	}
	if wrong = checkDatabase(given.SecretRef.Name, secret); wrong == nil && given.CARef != nil {
		err = r.checkDatabaseCA(ctx, server.Namespace, *given.CARef)
	}
	if errors.As(err, &wrong) {
		err = nil
	}
	return ports, wrong, err
}

// checkDatabase says what a Secret lacks, or nothing. Whether it is right, only the database knows.
func checkDatabase(name string, secret *corev1.Secret) *fault {
	const write = `write "uri", or "host", "user", "password" and "dbname"`
	if secret == nil {
		return &fault{mdmv1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("the database needs the Secret %s of spec.storage.postgresql.secretRef: create it, and %s", name, write)}
	}
	for _, need := range [][]string{
		{serverconfig.DatabaseHostFile},
		{serverconfig.DatabaseUserFile, serverconfig.DatabaseUsernameFile},
		{serverconfig.DatabaseNameFile, serverconfig.DatabaseOtherNameFile},
	} {
		either := append([]string{serverconfig.DatabaseURIFile}, need...)
		if !slices.ContainsFunc(either, func(key string) bool { return len(secret.Data[key]) > 0 }) {
			return &fault{mdmv1alpha1.ReasonSecretKeyMissing,
				fmt.Sprintf("the Secret %s of the database has neither %s: %s", name, strings.Join(either, " nor "), write)}
		}
	}
	return nil
}

// checkDatabaseCA returns a fault if there is no CA where there should be one.
func (r *Reconciler) checkDatabaseCA(ctx context.Context, namespace string, ref mdmv1alpha1.CAReference) error {
	if ref.Kind == mdmv1alpha1.CAReferenceConfigMap {
		err := r.checkCA(ctx, namespace, mdmv1alpha1.KeyReference{Name: ref.Name, Key: ref.Key})
		if wrong := (*fault)(nil); errors.As(err, &wrong) {
			return &fault{wrong.reason, "the database needs the CA of spec.storage.postgresql.caRef, and " + wrong.message}
		}
		return err
	}
	secret := &corev1.Secret{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, secret)
	const needs = "the database needs the CA of spec.storage.postgresql.caRef, and the "
	switch {
	case apierrors.IsNotFound(err):
		return &fault{mdmv1alpha1.ReasonSecretNotFound, fmt.Sprintf(needs+"Secret %s does not exist: create it with the key %s", ref.Name, ref.Key)}
	case err != nil:
		return err
	case len(secret.Data[ref.Key]) == 0:
		return &fault{mdmv1alpha1.ReasonSecretKeyMissing, fmt.Sprintf(needs+"Secret %s has no key %s: add it", ref.Name, ref.Key)}
	}
	if _, err := certs.Read(secret.Data[ref.Key]); err != nil {
		return &fault{mdmv1alpha1.MDMServerCertificateInvalid, fmt.Sprintf(needs+"key %s of the Secret %s holds none (%v): replace it", ref.Key, ref.Name, err)}
	}
	return nil
}

// databasePorts are the ports of the hosts in a Secret, of which a URI may name several ("34.1.1.2. Connection URIs" in PostgreSQL's manual).
func databasePorts(secret *corev1.Secret) []int {
	hosts := ":" + string(secret.Data[serverconfig.DatabasePortFile])
	if _, rest, isURI := strings.Cut(string(secret.Data[serverconfig.DatabaseURIFile]), "://"); isURI {
		hosts, _, _ = strings.Cut(rest, "/")
		hosts, _, _ = strings.Cut(hosts, "?")
		hosts = hosts[strings.LastIndex(hosts, "@")+1:]
	}
	var ports []int
	for host := range strings.SplitSeq(hosts, ",") {
		port, err := strconv.ParseUint(strings.TrimSpace(host[strings.LastIndex(host, ":")+1:]), 10, 16)
		if err != nil || port == 0 {
			port = portPostgreSQL
		}
		ports = append(ports, int(port))
	}
	return ports
}

package replicas

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/postgres"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// Names as CloudNativePG makes them of a Cluster mdm-db with a database and an owner mdm.
const (
	databaseName    = "mdm"
	databaseService = "mdm-db-rw"
	databaseSecret  = "mdm-db-app"
	databaseCA      = "mdm-db-ca"
	databasePort    = 5432
	storage         = "{type: PostgreSQL, postgresql: {secretRef: {name: mdm-db-app}, caRef: {kind: Secret, name: mdm-db-ca, key: ca.crt}, maxConnections: 20}}"
)

// database is a PostgreSQL on the cluster's node, which pods reach by a Service.
type database struct {
	*postgres.Cluster
	address  string
	ca       []byte
	password string
}

// newDatabase starts it on the address of the node. Whoever connects to it needs TLS and a password.
func newDatabase(t *testing.T, c *harness.Cluster) *database {
	t.Helper()
	nodes := &corev1.NodeList{}
	if err := c.List(t.Context(), nodes); err != nil {
		t.Fatal(err)
	}
	d := &database{address: nodes.Items[0].Status.Addresses[0].Address, password: rand.Text()}
	ca := pki.NewCA(t, "mdm-db")
	cert, key := pki.PEM(t, ca.Issue(t, pki.Leaf{CN: databaseService, Names: []string{databaseService, databaseService + "." + namespace}}))
	d.ca = ca.CertPEM()
	d.Cluster = postgres.Start(t, postgres.Options{Cert: cert, Key: key, Address: d.address, Durable: true})
	d.Exec(postgres.Superuser, "CREATE ROLE mdm LOGIN PASSWORD '"+d.password+"'")
	d.Exec(postgres.Superuser, "CREATE DATABASE mdm OWNER mdm ENCODING 'UTF8' TEMPLATE template0")
	return d
}

// secret is what CloudNativePG writes for applications.
func (d *database) secret() *corev1.Secret {
	host := databaseService + "." + namespace
	uri := url.URL{Scheme: "postgresql", User: url.UserPassword(databaseName, d.password), Host: fmt.Sprintf("%s:%d", host, databasePort), Path: databaseName}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: databaseSecret}, Type: corev1.SecretTypeBasicAuth,
		StringData: map[string]string{
			"username": databaseName, "user": databaseName, "password": d.password, "dbname": databaseName,
			"host": databaseService, "port": strconv.Itoa(databasePort), "uri": uri.String(), "jdbc-uri": "jdbc:" + uri.String(),
			"pgpass": fmt.Sprintf("%s:%d:mdm:mdm:%s\n", databaseService, databasePort, d.password),
		},
	}
}

// publish makes its Service, which leads to the node, and its Secrets.
func (d *database) publish(ctx context.Context, c *harness.Cluster) error {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: databaseService}
	slice := meta
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: databaseService}
	for _, obj := range []client.Object{
		&corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "postgres", Port: databasePort}}}},
		&discoveryv1.EndpointSlice{
			ObjectMeta: slice, AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{d.address}}},
			Ports: []discoveryv1.EndpointPort{{Name: new("postgres"), Port: ptr.To(int32(d.Port())), Protocol: new(corev1.ProtocolTCP)}}, //nolint:gosec // a port
		},
		d.secret(),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: databaseCA}, Data: map[string][]byte{"ca.crt": d.ca}},
	} {
		if err := c.Create(ctx, obj); err != nil {
			return fmt.Errorf("making %T %s: %w", obj, obj.GetName(), err)
		}
	}
	return nil
}

// rotate gives the role another password, as CloudNativePG does, and returns the old one.
func (d *database) rotate(ctx context.Context, c *harness.Cluster) (old string, err error) {
	old, d.password = d.password, rand.Text()
	d.Exec(postgres.Superuser, "ALTER ROLE mdm PASSWORD '"+d.password+"'")
	return old, c.Update(ctx, d.secret())
}

// refuses makes sure that nobody comes in with this password.
func (d *database) refuses(ctx context.Context, password string) error {
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=mdm dbname=mdm sslmode=require password=%s", d.address, d.Port(), password))
	if err == nil {
		return errors.Join(errors.New("the old password is good still"), conn.Close(ctx))
	}
	if refusal := new(pgconn.PgError); !errors.As(err, &refusal) || !strings.HasPrefix(refusal.Code, "28") {
		return err
	}
	return nil
}

// connections counts those of the server that were made before a moment of the database's clock, or all of them.
func (d *database) connections(before string) int {
	n, _ := strconv.Atoi(d.Ask(postgres.Superuser, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mdm' AND backend_start < $1::timestamptz", before))
	return n
}

func (d *database) now() string { return d.Ask(postgres.Superuser, "SELECT clock_timestamp()") }

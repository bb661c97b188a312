package servers_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/postgres"
	"github.com/kubemdm/kubemdm/test/standin"
)

// Names of what people make for a server on PostgreSQL, as CloudNativePG would call it.
const (
	databaseSecret = "db-app"
	databaseCA     = "db-ca"
)

func onPostgreSQL() mdmv1alpha1.Storage {
	return mdmv1alpha1.Storage{Type: mdmv1alpha1.StoragePostgreSQL, PostgreSQL: &mdmv1alpha1.PostgreSQLStorage{
		SecretRef: mdmv1alpha1.LocalReference{Name: databaseSecret}, CARef: &mdmv1alpha1.CAReference{Name: databaseCA},
	}}
}

// replicated is newServer with two replicas on PostgreSQL.
func replicated() *mdmv1alpha1.MDMServer {
	s := newServer()
	s.Spec.Storage, s.Spec.Replicas = onPostgreSQL(), ptr.To[int32](2)
	return s
}

// database runs a PostgreSQL with a database for the server and makes the Secrets that lead to it.
func (b *bench) database() *postgres.Cluster {
	b.Helper()
	ca := pki.NewCA(b, "database")
	cert, key := pki.PEM(b, ca.Issue(b, pki.Leaf{CN: "db", Names: []string{"localhost"}}))
	cluster := postgres.Start(b, postgres.Options{Cert: cert, Key: key})
	cluster.Exec("postgres", "CREATE ROLE mdm LOGIN PASSWORD 's3cret'")
	cluster.Exec("postgres", "CREATE DATABASE mdm OWNER mdm")
	b.secret(databaseCA, map[string][]byte{"ca.crt": ca.CertPEM()})
	b.secret(databaseSecret, map[string][]byte{
		"host": []byte("localhost"), "port": []byte(strconv.Itoa(cluster.Port())), "username": []byte("mdm"), "password": []byte("s3cret"), "dbname": []byte("mdm"),
	})
	return cluster
}

// replicas makes another pod beside b.pod, and the EndpointSlice that Kubernetes would make of both.
func (b *bench) replicas() (second *standin.Pod) {
	b.Helper()
	second = b.cluster.Pod(serverName, slog.NewTextHandler(b.Output(), nil))
	b.others = map[string]*standin.Pod{"10.0.0.2:9443": second}
	b.create(&discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "mdm-admin-x", Labels: map[string]string{discoveryv1.LabelServiceName: "mdm-admin"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("health"), Port: ptr.To[int32](8080)}, {Name: ptr.To("admin"), Port: ptr.To[int32](9443)}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.0.0.1"}}, {Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}},
		},
	})
	return second
}

// runReplicated brings up both replicas of a server.
func (b *bench) runReplicated(s *mdmv1alpha1.MDMServer) (second *standin.Pod) {
	b.Helper()
	second = b.replicas()
	b.create(s)
	b.deploy()
	second.Start()
	b.pod.Start()
	b.cluster.Available(serverName)
	b.ready()
	return second
}

func (b *bench) ready() {
	b.Helper()
	b.until("the server is Ready", func() bool {
		return meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionReady)
	})
}

func (b *bench) scale(replicas int32) {
	b.Helper()
	b.patch(func(s *mdmv1alpha1.MDMServer) { s.Spec.Replicas = &replicas })
}

// patch changes the server as people do, while the manager may write its status.
func (b *bench) patch(change func(*mdmv1alpha1.MDMServer)) {
	b.Helper()
	s := b.mdmServer()
	before := s.DeepCopy()
	change(s)
	b.must(api.Patch(b.Context(), s, client.MergeFrom(before)))
}

// switchStorage is what moves a server to PostgreSQL in its spec.
func (b *bench) switchStorage() {
	b.Helper()
	b.patch(func(s *mdmv1alpha1.MDMServer) {
		sqlite := s.Spec.Storage.SQLite
		s.Spec.Storage = onPostgreSQL()
		s.Spec.Storage.SQLite = sqlite
	})
}

func (b *bench) message(condition string) string {
	b.Helper()
	if c := meta.FindStatusCondition(b.mdmServer().Status.Conditions, condition); c != nil {
		return c.Message
	}
	return ""
}

func TestReplicasServeAndSeeTheirDatabaseGo(t *testing.T) {
	b := newBench(t)
	database := b.database()
	b.runReplicated(replicated())
	s := b.mdmServer()
	b.expect(s, "StoreReady=True/Ready", "Reachable=True/Connected", "Deployed=True/Ready")
	if *s.Status.Replicas != 2 || *s.Status.ReadyReplicas != 2 || s.Status.Selector == "" || s.Status.StoreEpoch == "" || *s.Status.Enrolled != 0 {
		t.Errorf("status %+v", s.Status)
	}
	if b.exists(serverName, &appsv1.StatefulSet{}) || !b.exists(serverName, &policyv1.PodDisruptionBudget{}) {
		t.Error("there is a StatefulSet, or no PodDisruptionBudget")
	}
	policy := &networkingv1.NetworkPolicy{}
	b.get(serverName, policy)
	out := policy.Spec.Egress[1].Ports
	if !slices.ContainsFunc(out, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntValue() == database.Port() }) {
		t.Errorf("the way to the database is closed: %v", out)
	}

	database.Stop()
	b.until("the loss of the database is seen", func() bool {
		return meta.IsStatusConditionFalse(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerStoreReady)
	})
	b.expect(s, "StoreReady=False/StoreUnavailable", "Reachable=True/Connected", "Ready=False/StoreUnavailable", "Reconciling=True/StoreUnavailable")
	if s.Status.Enrolled == nil || s.Status.StoreEpoch == "" || strings.Contains(b.message("StoreReady"), "s3cret") {
		t.Errorf("status %+v", s.Status)
	}
	database.Resume()
	b.ready()
}

func TestWhatLeadsToTheDatabaseIsLookedAt(t *testing.T) {
	const pem = "ca.crt"
	good, ca := map[string][]byte{"uri": []byte("postgresql://mdm@db.example.com:6432,db2.example.com/mdm")}, pki.NewCA(t, "database").CertPEM()
	for name, c := range map[string]struct {
		secret, ca map[string][]byte
		want       string
		says       string
	}{
		"no Secret":   {nil, map[string][]byte{pem: ca}, mdmv1alpha1.ReasonSecretNotFound, "create it"},
		"no address":  {map[string][]byte{"password": []byte("x")}, map[string][]byte{pem: ca}, mdmv1alpha1.ReasonSecretKeyMissing, "neither uri nor host: write"},
		"no user":     {map[string][]byte{"host": []byte("db")}, map[string][]byte{pem: ca}, mdmv1alpha1.ReasonSecretKeyMissing, "neither uri nor user nor username"},
		"no database": {map[string][]byte{"host": []byte("db"), "user": []byte("mdm")}, map[string][]byte{pem: ca}, mdmv1alpha1.ReasonSecretKeyMissing, "neither uri nor dbname nor database"},
		"no CA":       {good, nil, mdmv1alpha1.ReasonSecretNotFound, "caRef"},
		"no key":      {good, map[string][]byte{"other": ca}, mdmv1alpha1.ReasonSecretKeyMissing, "no key ca.crt"},
		"no PEM":      {good, map[string][]byte{pem: []byte("x")}, mdmv1alpha1.MDMServerCertificateInvalid, "replace it"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if c.secret != nil {
				b.secret(databaseSecret, c.secret)
			}
			if c.ca != nil {
				b.secret(databaseCA, c.ca)
			}
			b.create(replicated())
			b.deploy()
			b.expect(b.mdmServer(), "StoreReady=False/"+c.want, "Stalled=True/"+c.want)
			if got := b.message("StoreReady"); !strings.Contains(got, c.says) {
				t.Errorf("message %q", got)
			}
		})
	}
}

// The pods read a rotated Secret anew; replacing them would cost every device a connection.
func TestRotatedDatabaseSecretReplacesNoPod(t *testing.T) {
	b := newBench(t)
	b.secret(databaseCA, map[string][]byte{"ca.crt": pki.NewCA(t, "database").CertPEM()})
	b.secret(databaseSecret, map[string][]byte{"uri": []byte("postgresql://mdm:a@db.example.com:6432,db2.example.com/mdm")})
	b.create(replicated())
	b.deploy()
	b.expect(b.mdmServer(), "StoreReady=Unknown/ServerUnreachable")
	before := &appsv1.Deployment{}
	b.get(serverName, before)
	edit(b, databaseSecret, &corev1.Secret{}, func(s *corev1.Secret) {
		s.Data["uri"] = []byte("postgresql://mdm:b@db.example.com:6432,db2.example.com/mdm")
	})
	b.reconcileServer()
	after := &appsv1.Deployment{}
	if b.get(serverName, after); after.Generation != before.Generation {
		t.Error("the pods are replaced")
	}
	policy := &networkingv1.NetworkPolicy{}
	b.get(serverName, policy)
	var ports []string
	for _, p := range policy.Spec.Egress[1].Ports {
		ports = append(ports, p.Port.String())
	}
	if got := fmt.Sprint(ports); got != "[443 2197 5432 6432]" {
		t.Errorf("the server may call %s", got)
	}
}

func TestStorageMovesToPostgreSQL(t *testing.T) {
	b := running(t)
	b.volume()
	b.database()
	b.scale(0)
	b.reconcileServer()
	b.expect(b.mdmServer(), "Deployed=False/RollingOut") // a pod is left, which writes to its volume
	b.pod.Stop()
	b.cluster.Available(serverName)
	b.reconcileServer()
	b.expect(b.mdmServer(), "Deployed=True/Stopped", "StoreReady=Unknown/Stopped")
	b.switchStorage()
	b.reconcileServer()
	if b.exists(serverName, &appsv1.StatefulSet{}) || !b.exists(serverName, &appsv1.Deployment{}) {
		t.Error("the StatefulSet stays, or there is no Deployment")
	}
	if !b.exists("data-mdm-0", &corev1.PersistentVolumeClaim{}) {
		t.Error("the volume went with the StatefulSet")
	}
	second := b.replicas()
	b.scale(2)
	b.reconcileServer()
	second.Start()
	b.pod.Start()
	b.cluster.Available(serverName)
	b.ready()
}

// A generation that one replica does not know yet must not issue: devices with its certificates may come to that one.
func TestCARotatesWhenEveryReplicaKnows(t *testing.T) {
	b := newBench(t)
	b.database()
	second := b.runReplicated(replicated())
	f := families[0]
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) { s.Annotations = map[string]string{f.annotation: "2026"} })
	b.reconcileServer()
	b.cluster.Issue()
	b.reconcileServer()
	const waiting, done = `{"1":"Active","2":"Next"}`, `{"1":"Retired","2":"Active"}`
	b.pod.Mount()
	b.until("the first replica knows", func() bool {
		server, err := b.servers.Links.Server(b.key(serverName))
		if err != nil {
			return false
		}
		info, err := server.Client().Info(t.Context()) // the Service leads to the first
		return err == nil && len(info.IdentityCAs) == 2
	})
	b.reconcileServer()
	if got := b.roles(f); got != waiting {
		t.Fatalf("before the second replica knows: %s", got)
	}
	second.Stop()
	second.Mount()
	for range 3 {
		b.reconcileServer()
	}
	if got := b.roles(f); got != waiting {
		t.Fatalf("while the second replica says nothing: %s", got)
	}
	b.expect(b.mdmServer(), "Reachable=True/Connected", "CredentialsReady=True/Rotating")
	second.Start()
	b.until("the second generation issues", func() bool { return b.roles(f) == done })
}

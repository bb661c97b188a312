package live_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// grant binds a ClusterRole to a user everywhere.
func (c *cluster) grant(t *testing.T, user, role string) {
	t.Helper()
	err := c.api.Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: refTo("ClusterRole", role),
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}})
	if err != nil {
		t.Fatal(err)
	}
}

// Only the API server may say whom a request is from.
func TestNobodyIsBelievedButTheAPIServer(t *testing.T) {
	shared.start(t)
	hc := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: shared.ca.Pool(), MinVersion: tls.VersionTLS13}}}
	t.Cleanup(hc.CloseIdleConnections)
	for name, c := range map[string]struct {
		path    string
		headers map[string]string
		want    int
	}{
		"health":       {"/readyz", nil, http.StatusOK},
		"nobody":       {"/apis/live.mdm.kubemdm.io/v1alpha1/deviceevents", nil, http.StatusUnauthorized},
		"forged admin": {"/apis/live.mdm.kubemdm.io/v1alpha1/deviceevents", map[string]string{"X-Remote-User": "root", "X-Remote-Group": "system:masters"}, http.StatusUnauthorized},
		"token":        {"/apis/live.mdm.kubemdm.io/v1alpha1/deviceevents", map[string]string{"Authorization": "Bearer x"}, http.StatusUnauthorized},
		"metrics":      {"/metrics", nil, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+shared.address+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range c.headers {
				req.Header.Set(key, value)
			}
			res, err := hc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, _ := io.ReadAll(res.Body); res.StatusCode != c.want {
				t.Errorf("answered %s: %s", res.Status, body)
			}
		})
	}
}

func TestCertificateIsReloaded(t *testing.T) {
	shared.start(t)
	before := servingCertificate(t)
	if err := shared.certify(t); err != nil {
		t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return !bytes.Equal(servingCertificate(t), before), nil
	})
	if err != nil {
		t.Errorf("the old certificate is still served: %v", err)
	}
}

func servingCertificate(t *testing.T) []byte {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: shared.ca.Pool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}}
	conn, err := d.DialContext(t.Context(), "tcp", shared.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
}

// kubectl explain reads this.
func TestKindsAreExplained(t *testing.T) {
	w := newWorld(t)
	viewer := w.person("viewer", "")
	b, err := viewer.raw.Get().AbsPath("/openapi/v3/apis/live.mdm.kubemdm.io/v1alpha1").DoRaw(t.Context())
	w.must(err)
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Description string
				Properties  map[string]struct{ Description string }
				Kinds       []struct{ Group, Kind string } `json:"x-kubernetes-group-version-kind"`
			}
		}
	}
	w.must(json.Unmarshal(b, &doc))
	kinds := map[string]bool{}
	for name, schema := range doc.Components.Schemas {
		if !strings.Contains(name, "kubemdm") {
			continue
		}
		for _, k := range schema.Kinds {
			kinds[k.Kind] = true
		}
		for property, p := range schema.Properties {
			if p.Description == "" && property != "metadata" && property != "items" {
				t.Errorf("%s: %s is not explained", name, property)
			}
		}
		if schema.Description == "" {
			t.Errorf("%s is not explained", name)
		}
	}
	for _, kind := range []string{"DeviceReport", "ProfileReport", "DeviceEvent", "DevicePIN", "DevicePush", "EnrollmentImport"} {
		if !kinds[kind] {
			t.Errorf("nothing explains a %s: %v", kind, kinds)
		}
	}
}

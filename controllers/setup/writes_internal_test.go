package setup

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What the API server took counts once, under what it was about; what it refused and what only reads does not.
func TestWritesAreCountedByResourceAndReason(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("refuse") {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	defer api.Close()
	const devices = "/apis/mdm.kubemdm.io/v1alpha1/namespaces/fleet/devices"
	for _, c := range []struct{ method, path, resource, reason string }{
		{http.MethodPost, devices, "devices", "create"},
		{http.MethodPatch, devices + "/mac", "devices", "change"},
		{http.MethodPatch, devices + "/mac/status", "devices", "status"},
		{http.MethodDelete, devices + "/mac", "devices", "delete"},
		{http.MethodPut, "/api/v1/namespaces/fleet/secrets/token", "secrets", "change"},
		{http.MethodPost, "/api/v1/namespaces", "namespaces", "create"},
		{http.MethodPut, "/api/v1/namespaces/fleet", "namespaces", "change"},
		{http.MethodGet, devices + "/mac", "", ""},
		{http.MethodPatch, devices + "/mac/status?refuse", "", ""},
	} {
		w := newWrites()
		client := http.Client{Transport: w.around(http.DefaultTransport)}
		request, err := http.NewRequestWithContext(t.Context(), c.method, api.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		want := 1
		if c.resource == "" {
			want = 0
		}
		if got := testutil.CollectAndCount(w.total); got != want {
			t.Errorf("%s %s: %d counters, want %d", c.method, c.path, got, want)
		} else if want == 1 && testutil.ToFloat64(w.total.WithLabelValues(c.resource, c.reason)) != 1 {
			t.Errorf("%s %s is not counted as %s of %s", c.method, c.path, c.reason, c.resource)
		}
	}
}

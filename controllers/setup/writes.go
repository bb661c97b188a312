package setup

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// writes counts what the manager writes to the API server, by resource and reason.
type writes struct{ total *prometheus.CounterVec }

func newWrites() writes {
	return writes{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubemdm_api_writes_total",
		Help: "Writes to the API server that it took, by resource and reason: create, change (metadata or spec), status and other subresources, delete.",
	}, []string{"resource", "reason"})}
}

// reasons are what the methods that write do to an object itself.
var reasons = map[string]string{http.MethodPost: "create", http.MethodPut: "change", http.MethodPatch: "change", http.MethodDelete: "delete"}

// around is a wrapper of the API client's transport.
func (w writes) around(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if reason, changing := reasons[r.Method]; changing && err == nil && response.StatusCode < http.StatusMultipleChoices {
			resource, subresource := addressed(r.URL.Path)
			if subresource != "" {
				reason = subresource
			}
			w.total.WithLabelValues(resource, reason).Inc()
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// addressed reads what a request of the API is about: /apis/<group>/<version>/[namespaces/<namespace>/]<resource>[/<name>[/<subresource>]], and for the core
// group /api/<version>/...
func addressed(path string) (resource, subresource string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	skip := 3
	if parts[0] == "api" {
		skip = 2
	}
	parts = append(parts, "", "", "", "")[min(skip, len(parts)):]
	if parts[0] == "namespaces" && parts[2] != "" {
		parts = parts[2:]
	}
	return parts[0], parts[2]
}

package mdmserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/metrics"
)

// failing is a store that fails alike each time.
type failing struct {
	fleet.Store
	err error
}

func (s failing) View(context.Context, func(fleet.Tx) error) error   { return s.err }
func (s failing) Update(context.Context, func(fleet.Tx) error) error { return s.err }

// A full disk must show in the metrics; a refusal of the domain is no fault of the store.
func TestOutagesOfTheStoreAreCounted(t *testing.T) {
	m := metrics.New("test")
	refused := errors.New("refused")
	for _, err := range []error{fmt.Errorf("%w: disk full", fleet.ErrUnavailable), refused, nil} {
		s := newReachedStore(m.StoreError)
		if opened := s.open(failing{err: err}, nil); opened != nil {
			t.Fatal(opened)
		}
		if got := s.View(t.Context(), nil); !errors.Is(got, err) {
			t.Errorf("View: %v, want %v", got, err)
		}
		if got := s.Update(t.Context(), nil); !errors.Is(got, err) {
			t.Errorf("Update: %v, want %v", got, err)
		}
	}
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(answer.Body.String(), "kubemdm_server_store_errors_total 2\n") {
		t.Error("want two outages, of View and of Update")
	}
}

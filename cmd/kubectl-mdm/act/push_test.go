package act_test

import (
	"errors"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doingtest"
)

func TestPush(t *testing.T) {
	other := device("olaf", "S4", "design")
	other.Spec.ServerRef.Name = "oslo"
	w := doingtest.New(t, append(fleet(), other)...)
	w.WantError(w.Run(verb("push"), "ana", "S2"))
	w.WantOutput("ana was woken\n", "ben was woken\n")
	if want := []string{"ana", "ben"}; !slices.Equal(w.Pushed, want) {
		t.Errorf("woken: %q", w.Pushed)
	}
	w.Pushed = nil
	w.WantError(w.Run(verb("push"), "-l", "team=design")) // of all servers, and nobody is asked
	if want := []string{"ana", "ben", "olaf"}; !slices.Equal(w.Pushed, want) {
		t.Errorf("woken: %q", w.Pushed)
	}
	if len(w.Created) != 0 {
		t.Error("a push makes an object")
	}
}

func TestPushThatFails(t *testing.T) {
	report := schema.GroupResource{Group: "live.mdm.kubemdm.io", Resource: "devicereports"}
	w := doingtest.New(t, fleet()...)
	w.Fail = func(verb, _, name string) error {
		if verb == "push" && name == "ana" {
			return apierrors.NewConflict(report, name, errors.New("the device cannot be woken"))
		}
		return nil
	}
	w.WantError(w.Run(verb("push"), "ana", "ben"), "ana: ", "the device cannot be woken")
	w.WantOutput("ben was woken\n") // the others are woken all the same
	w.Fail = func(verb, _, name string) error {
		if verb == "push" {
			return apierrors.NewForbidden(report, name, errors.New("no right"))
		}
		return nil
	}
	w.WantError(w.Run(verb("push"), "ana", "ben"), "you may not wake devices", "role helpdesk")
	w.Fail = func(verb, _, _ string) error {
		if verb == "push" {
			return apierrors.NewServiceUnavailable("no server")
		}
		return nil
	}
	w.WantError(w.Run(verb("push"), "ana", "ben"), "no device was woken: the live view does not answer")
}

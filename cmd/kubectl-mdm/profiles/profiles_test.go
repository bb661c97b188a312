package profiles_test

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	lt "github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/profiles"
	"github.com/kubemdm/kubemdm/test/golden"
)

func wifi() *mdmv1alpha1.Profile {
	at := lt.Ago(26 * time.Hour)
	p := &mdmv1alpha1.Profile{ObjectMeta: lt.Meta("wifi"), Spec: mdmv1alpha1.ProfileSpec{ServerRef: mdmv1alpha1.LocalReference{Name: "berlin"}}}
	p.Status.Identifier = "com.example.wifi"
	p.Status.Targeted, p.Status.Installed, p.Status.Pending, p.Status.Failed, p.Status.NotNow = lt.Number(10), lt.Number(6), lt.Number(2), lt.Number(2), lt.Number(1)
	p.Status.Failing = []mdmv1alpha1.FailingDevice{{Device: "mac-1", Message: "4001: the payload cannot be read", Since: &at}}
	return lt.With(p, lt.Well(mdmv1alpha1.ConditionReady), lt.Well(mdmv1alpha1.ProfileAccepted), lt.Well(mdmv1alpha1.ProfileRendered), lt.Well(mdmv1alpha1.ProfilePublished),
		lt.Not(mdmv1alpha1.ProfileConverged, mdmv1alpha1.ProfileRefused, "2 devices refuse it; status.failing repeats their reasons"))
}

func held() *mdmv1alpha1.Profile {
	p := lt.With(wifi(), lt.Is(mdmv1alpha1.ProfileRemovalHeld, metav1.ConditionTrue, mdmv1alpha1.ProfileTooManyRemovals, "42 devices would lose it"),
		lt.Well(mdmv1alpha1.ProfileConverged))
	p.Name, p.Status.HeldRemoval, p.Status.Removing = "held", &mdmv1alpha1.HeldRemoval{Devices: 42, Token: "abc"}, lt.Number(42)
	p.Status.Failing, p.Status.Failed, p.Status.NotNow = nil, lt.Number(0), nil
	return p
}

func report() *livev1alpha1.ProfileReport {
	day, week, next := lt.Ago(26*time.Hour), lt.Ago(9*24*time.Hour), lt.Ago(-time.Hour)
	of := func(device string, seen *metav1.Time, responding bool, state livev1alpha1.ProfileState) livev1alpha1.DeviceProfileState {
		return livev1alpha1.DeviceProfileState{Device: device, DeviceID: "1111", SerialNumber: "C02", LastSeen: seen, Responding: responding, ProfileState: state}
	}
	return &livev1alpha1.ProfileReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: lt.Namespace, Name: "wifi"}, Server: "berlin", Targeted: 11, Installed: 6, Pending: 3, Failed: 2, Truncated: 3,
		Behind: []livev1alpha1.DeviceProfileState{
			of("mac-3", &week, false, livev1alpha1.ProfileState{Outcome: "Pending", Message: "it has not called since", Since: &week}),
			of("mac-1", &day, true, livev1alpha1.ProfileState{Outcome: "Failed", Message: "4001: the payload cannot be read\x1b[2J", Since: &day}),
			of("", &day, true, livev1alpha1.ProfileState{Outcome: "NotNow", User: "anna", Message: "it is locked", Since: &day, Attempts: 1, NextAttempt: &next}),
			of("mac-4", nil, false, livev1alpha1.ProfileState{Outcome: "Pending"}),
		},
	}
}

func TestStatus(t *testing.T) {
	fresh := &mdmv1alpha1.Profile{ObjectMeta: lt.Meta("fresh")}
	nobody := &livev1alpha1.ProfileReport{ObjectMeta: lt.Meta("held")}
	objects := []client.Object{wifi(), held(), fresh, report(), nobody}
	for name, args := range map[string][]string{
		"wifi": {"wifi"}, "wifi-limit": {"wifi", "--limit", "1"}, "wifi-json": {"wifi", "-o", "json"}, "held": {"held"}, "fresh": {"fresh"},
	} {
		t.Run(name, func(t *testing.T) {
			w := lt.New(t, objects...)
			w.WantError(w.Run(profiles.Command, append([]string{"status"}, args...)...))
			golden.Check(t, "testdata/"+name+".txt", w.Out.Bytes())
		})
	}
}

// Without the live view the object tells what it knows.
func TestStatusWithoutLiveView(t *testing.T) {
	w := lt.New(t, wifi())
	w.Live = apierrors.NewForbidden(schema.GroupResource{Group: livev1alpha1.GroupVersion.Group, Resource: "profilereports"}, "wifi", errors.New("no"))
	w.WantError(w.Run(profiles.Command, "status", "wifi"))
	w.WantOutput("Note: who is behind is not shown: you lack a right on the live view")
	golden.Check(t, "testdata/without-live-view.txt", w.Out.Bytes())
}

func TestNoSuchProfile(t *testing.T) {
	w := lt.New(t)
	w.WantError(w.Run(profiles.Command, "status", "wifi"), "there is no Profile wifi in the namespace fleet")
	w.WantError(w.Run(profiles.Command, "status", "wifi", "--limit", "-1"), "--limit")
	w.WantError(w.Run(profiles.Command, "status", "wifi", "-o", "wide"), "wide")
	w.Forbidden = []string{"Profile"}
	w.WantError(w.Run(profiles.Command, "status", "wifi"), "does not let you do this")
}

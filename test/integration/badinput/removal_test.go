package badinput_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// A selector that matches nothing is no fault of the operator's: Ready, but not Converged, until somebody matches.
func TestASelectorThatMatchesNothing(t *testing.T) {
	w := newWorld(t)
	w.create(profile("wifi", mobileconfig(wifi, "Office"), team))
	w.expect(&mdmv1alpha1.Profile{}, "wifi", "Converged=False/NothingSelected")
	w.expect(&mdmv1alpha1.Profile{}, "wifi", "Ready=True/Ready")
	w.converge("wifi", w.enrol("design", team, 1))
}

// A selector that suddenly matches nobody takes nothing from a fleet until a person says that it is meant.
func TestASelectorThatSuddenlyMatchesNobody(t *testing.T) {
	w := newWorld(t)
	const fleet = 7 // more than the five that may always lose a profile
	macs := w.installed("wifi", fleet)
	selector := func(team string) {
		edit(w, "wifi", &mdmv1alpha1.Profile{}, func(p *mdmv1alpha1.Profile) { p.Spec.Selector.MatchLabels["example.com/team"] = team })
	}
	selector("desing")
	p := &mdmv1alpha1.Profile{}
	w.expect(p, "wifi", "RemovalHeld=True/TooManyRemovals")
	if held := p.Status.HeldRemoval; held == nil || held.Devices != fleet || held.Token == "" {
		t.Fatalf("what is held: %+v", held)
	}
	w.idle(macs)
	if n := having(macs, wifi); n != fleet {
		t.Fatalf("%d of %d Macs still have the profile", n, fleet)
	}

	selector("design")
	w.eventually("the end of the hold", func(ctx context.Context) string {
		if err := api.Get(ctx, w.key("wifi"), p); err != nil {
			return err.Error()
		}
		if meta.FindStatusCondition(p.Status.Conditions, mdmv1alpha1.ProfileRemovalHeld) != nil || p.Status.HeldRemoval != nil {
			return show(p.Status.Conditions)
		}
		return ""
	})
	w.converge("wifi", macs)

	selector("desing")
	w.expect(p, "wifi", "RemovalHeld=True/TooManyRemovals")
	edit(w, "wifi", &mdmv1alpha1.Profile{}, func(p *mdmv1alpha1.Profile) { p.Spec.Removal.Acknowledge = p.Status.HeldRemoval.Token })
	w.eventually("the acknowledged removal", func(context.Context) string {
		w.idle(macs)
		if having(macs, wifi) > 0 {
			return "some Macs still have the profile"
		}
		return ""
	})
	w.expect(p, "wifi", "Converged=False/NothingSelected")
}

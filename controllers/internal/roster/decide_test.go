package roster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const wifi adminapi.Key = "fleet/wifi"

func profile(change func(*mdmv1alpha1.Profile)) *mdmv1alpha1.Profile {
	p := &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "wifi"}}
	p.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "design"}}
	change(p)
	return p
}

func same(*mdmv1alpha1.Profile) {}

// members returns a group for each of the first, which are selected, and then for the strays, which have the profile and are not selected.
func members(selected, strays int) []roster.Group {
	var all []roster.Group
	for i := range selected + strays {
		g := roster.Group{
			Platform: adminapi.PlatformApple, Assigned: []adminapi.Key{wifi}, Labels: map[string]string{"team": "design"},
			Members: []roster.Member{{ID: fmt.Sprint("d", i)}},
		}
		if i >= selected {
			g.Labels = nil
		}
		all = append(all, g)
	}
	return all
}

func TestRemovalsAreHeldAboveTheLimit(t *testing.T) {
	percent := func(n int32) func(*mdmv1alpha1.Profile) {
		return func(p *mdmv1alpha1.Profile) { p.Spec.Removal.MaxPercent = &n }
	}
	for name, c := range map[string]struct {
		change           func(*mdmv1alpha1.Profile)
		selected, losing int
		held             bool
	}{
		"nobody loses":                    {same, 5, 0, false},
		"five of five":                    {same, 0, 5, false},
		"six of six":                      {same, 0, 6, true},
		"ten percent":                     {same, 90, 10, false},
		"more than ten percent":           {same, 89, 11, true},
		"percents are rounded down":       {same, 53, 6, true},
		"five with a limit of nothing":    {percent(0), 95, 5, false},
		"six with a limit of nothing":     {percent(0), 94, 6, true},
		"all with the guard switched off": {percent(100), 0, 500, false},
		"half":                            {percent(50), 50, 50, false},
	} {
		t.Run(name, func(t *testing.T) {
			all := members(c.selected, c.losing)
			d := roster.Decide(profile(c.change), all)
			if d.Held != c.held || len(d.Losing) != c.losing || (d.Token != "") != (c.losing > 0) {
				t.Errorf("held %v, %d lose it, token %q", d.Held, len(d.Losing), d.Token)
			}
			if told := c.held || c.losing == 0; d.Told(wifi, all) != told {
				t.Errorf("the server counts as told: %v", !told)
			}
		})
	}
}

func TestTokenAcknowledgesOneSetOfDevices(t *testing.T) {
	all := members(0, 10)
	token := roster.Decide(profile(same), all).Token
	acknowledged := profile(func(p *mdmv1alpha1.Profile) { p.Spec.Removal.Acknowledge = token })
	if roster.Decide(acknowledged, all).Held {
		t.Error("the acknowledged removal is held")
	}
	all[0], all[9] = all[9], all[0]
	if roster.Decide(acknowledged, all).Held {
		t.Error("another order of the devices is held")
	}
	if !roster.Decide(acknowledged, append(all, members(0, 11)[10])).Held {
		t.Error("one device more was not acknowledged")
	}
}

func TestWhoShouldHaveIt(t *testing.T) {
	now := metav1.NewTime(time.Now())
	unreadable := func(p *mdmv1alpha1.Profile) {
		p.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}
	}
	for name, c := range map[string]struct {
		change func(*mdmv1alpha1.Profile)
		want   [4]bool // selected and has it, selected, has it, neither
	}{
		"as selected":      {same, [4]bool{true, true, false, false}},
		"everybody":        {func(p *mdmv1alpha1.Profile) { p.Spec.Selector = &metav1.LabelSelector{} }, [4]bool{true, true, true, true}},
		"but for some":     {func(p *mdmv1alpha1.Profile) { p.Spec.ExcludeSelector = p.Spec.Selector }, [4]bool{}},
		"being deleted":    {func(p *mdmv1alpha1.Profile) { p.DeletionTimestamp = &now }, [4]bool{true, false, true, false}},
		"unreadable":       {unreadable, [4]bool{true, false, true, false}},
		"paused":           {func(p *mdmv1alpha1.Profile) { p.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "true"} }, [4]bool{true, false, true, false}},
		"paused: not true": {func(p *mdmv1alpha1.Profile) { p.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "no"} }, [4]bool{true, true, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			all := members(2, 2)
			all[1].Assigned, all[3].Assigned = nil, []adminapi.Key{"fleet/other"}
			if d := roster.Decide(profile(c.change), all); [4]bool(d.Wanted) != c.want {
				t.Errorf("wanted %v, want %v", d.Wanted, c.want)
			}
		})
	}
}

func TestProfileIsForDevicesOfItsPlatform(t *testing.T) {
	all := members(2, 0)
	all[1].Platform, all[1].Assigned = adminapi.PlatformWindows, nil
	everybody := func(p *mdmv1alpha1.Profile) { p.Spec.Selector = &metav1.LabelSelector{} }
	if d := roster.Decide(profile(everybody), all); !slices.Equal(d.Wanted, []bool{true, false}) || !d.Told(wifi, all) {
		t.Errorf("a Profile for Apple devices wants %v", d.Wanted)
	}
	windows := profile(func(p *mdmv1alpha1.Profile) {
		everybody(p)
		p.Spec.Windows = &mdmv1alpha1.WindowsProfile{}
	})
	all[0].Assigned, all[1].Assigned = nil, []adminapi.Key{wifi}
	if d := roster.Decide(windows, all); !slices.Equal(d.Wanted, []bool{false, true}) || d.Token != "" {
		t.Errorf("a Profile for PCs wants %v and takes it from %v", d.Wanted, d.Losing)
	}
}

func TestServerThatWasNotToldOfAnAdditionIsBehind(t *testing.T) {
	all := members(2, 0)
	all[1].Assigned = nil
	d := roster.Decide(profile(same), all)
	if d.Told(wifi, all) {
		t.Error("a selected device lacks the profile, and the server counts as told")
	}
}

func BenchmarkDecide(b *testing.B) {
	all := members(9990, 10)
	p := profile(same)
	for b.Loop() {
		roster.Decide(p, all)
	}
}

package profiles

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// printer writes how far a profile is.
type printer struct{ *look.Printer }

func (p *printer) profile(one *Profile, limit int) {
	profile := one.Profile
	p.Line("Profile %s in the namespace %s: %s", profile.Name, profile.Namespace, summary(profile))
	p.Line("")
	p.Fact("Server", profile.Spec.ServerRef.Name)
	p.Fact("Platform", string(profile.Spec.Platform()))
	p.Fact("Identifier", profile.Status.Identifier)
	p.counters(one)
	if h := profile.Status.HeldRemoval; h != nil {
		p.Fact("Held back", "removal from "+look.Count(h.Devices, "device", "devices"))
	}
	p.Line("")
	p.conditions(profile)
	p.Line("")
	if one.Report == nil {
		p.failing(profile)
	} else {
		p.behind(one.Report, limit)
	}
	if len(one.Needs) == 0 {
		return
	}
	p.Line("")
	p.Line("What needs a person")
	for _, n := range one.Needs {
		p.Line("  %s %s (%s)", p.Mark(look.Wrong), cmp.Or(n.Condition, "-"), n.Reason)
		p.Text("      ", n.Message)
		if n.Runbook != "" {
			p.Line("      Runbook: %s", n.Runbook)
		}
	}
}

// summary says in a few words how far a profile is.
func summary(p *mdmv1alpha1.Profile) string {
	for _, name := range []string{mdmv1alpha1.ConditionReady, mdmv1alpha1.ProfileConverged} {
		c := meta.FindStatusCondition(p.Status.Conditions, name)
		switch {
		case c == nil:
			return "not observed yet"
		case c.Status != metav1.ConditionTrue && name == mdmv1alpha1.ConditionReady:
			return "not ready (" + c.Reason + ")"
		case c.Status != metav1.ConditionTrue:
			return "published, not on all devices yet (" + c.Reason + ")"
		}
	}
	return "on all devices that should have it"
}

func (p *printer) counters(one *Profile) {
	s := &one.Profile.Status
	targeted, installed, pending, failed := number(s.Targeted), number(s.Installed), number(s.Pending), number(s.Failed)
	if r := one.Report; r != nil {
		targeted, installed, pending, failed = r.Targeted, r.Installed, r.Pending, r.Failed
	}
	text := fmt.Sprintf("%d should have it: %d have, %d wait, %d refuse", targeted, installed, pending, failed)
	if n := number(s.NotNow); n > 0 {
		text += fmt.Sprintf("; %d asked for another time", n)
	}
	if n := number(s.Removing); n > 0 {
		text += fmt.Sprintf("; %d still have it and should not", n)
	}
	p.Fact("Devices", text)
}

func (p *printer) conditions(profile *mdmv1alpha1.Profile) {
	p.Line("Conditions")
	if len(profile.Status.Conditions) == 0 {
		p.Line("  none yet: the operator has not looked at it")
	}
	for _, c := range profile.Status.Conditions {
		p.Line("  %s %-12s %s (%s) for %s", p.Mark(look.StateOf(profile, c)), c.Type, c.Status, c.Reason, p.Ago(c.LastTransitionTime.Time))
		p.Text("      ", c.Message)
	}
}

// behind lists the devices that have not installed a profile.
func (p *printer) behind(r *livev1alpha1.ProfileReport, limit int) {
	p.Line("Who is behind, and why")
	if len(r.Behind) == 0 {
		p.Line("  nobody")
		return
	}
	shown := r.Behind
	if limit > 0 {
		shown = shown[:min(limit, len(shown))]
	}
	for _, d := range shown {
		state := look.Waits
		if rank(d) == 0 {
			state = look.Wrong
		}
		p.Line("  %s %s", p.Mark(state), printers.EscapeTerminal(p.device(d)))
		p.Text("      ", d.Message)
	}
	if more := int64(len(r.Behind)-len(shown)) + int64(r.Truncated); more > 0 {
		p.Line("  and %d more", more)
	}
}

// device says how far a profile is on a device.
func (p *printer) device(d livev1alpha1.DeviceProfileState) string {
	text := cmp.Or(d.Device, d.SerialNumber, d.DeviceID)
	if d.User != "" {
		text += " of the user " + d.User
	}
	text += ": " + d.Outcome
	if d.Since != nil {
		text += " for " + p.Ago(d.Since.Time)
	}
	switch {
	case d.LastSeen == nil:
		text += ", has never called"
	case !d.Responding:
		text += ", silent for " + p.Ago(d.LastSeen.Time)
	default:
		text += ", seen " + p.Ago(d.LastSeen.Time) + " ago"
	}
	if d.Attempts > 0 {
		text += ", " + look.Count(d.Attempts, "delivery without an answer", "deliveries without an answer")
	}
	if d.NextAttempt != nil && d.NextAttempt.After(p.Now) {
		text += ", the next one not before " + look.Date(d.NextAttempt.Time)
	}
	return text
}

// failing lists what the object tells, which are a few of those that refuse a profile.
func (p *printer) failing(profile *mdmv1alpha1.Profile) {
	p.Line("Some of those that refuse it")
	if len(profile.Status.Failing) == 0 {
		p.Line("  nobody refuses it")
	}
	for _, d := range profile.Status.Failing {
		since := ""
		if d.Since != nil {
			since = " for " + p.Ago(d.Since.Time)
		}
		p.Line("  %s %s%s", p.Mark(look.Wrong), printers.EscapeTerminal(d.Device), since)
		p.Text("      ", d.Message)
	}
	if more := number(profile.Status.Failed) - int32(len(profile.Status.Failing)); more > 0 {
		p.Line("  and %d more", more)
	}
}

func number(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

package devices

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// printer writes all that is known of a device.
type printer struct{ *look.Printer }

func (p *printer) device(d *Device, history int) {
	p.Line("Device %s in the namespace %s: %s", d.Device.Name, d.Device.Namespace, summary(d))
	p.Line("")
	p.facts(d.Device)
	p.Line("")
	p.enrolment(d)
	p.Line("")
	p.conditions(d.Device)
	p.Line("")
	p.profiles(d)
	p.commands(d.PendingCommands)
	p.history(d.Report, history)
	p.Line("")
	p.needs(d.Needs)
}

// summary says in a few words how a device is.
func summary(d *Device) string {
	words := []string{strings.ToLower(look.Enrolment(d.Device))}
	switch {
	case look.Enrolment(d.Device) == "Awaited":
		words = []string{"not enrolled yet"}
	case look.Silent(d.Device):
		words = append(words, "silent")
	}
	if look.Failing(d.Device) {
		words = append(words, "refuses a profile")
	}
	return strings.Join(words, ", ")
}

func (p *printer) facts(d *mdmv1alpha1.Device) {
	p.Line("Facts")
	h := d.Status.Hardware
	if h == nil {
		h = &mdmv1alpha1.DeviceHardware{UDID: d.Spec.UDID}
	}
	p.Fact("Serial number", look.Serial(d))
	p.Fact("UDID", cmp.Or(h.UDID, d.Spec.UDID))
	p.Fact("Model", strings.Join(slices.DeleteFunc([]string{h.ModelName, h.ProductName, h.Model}, empty), ", "))
	if d.Status.OS != nil {
		build := ""
		if d.Status.OS.Build != "" {
			build = " (" + d.Status.OS.Build + ")"
		}
		p.Fact("System", look.System(d)+build)
	}
	p.Fact("Device name", d.Status.DeviceName)
	p.Fact("User", d.Status.UserPrincipalName)
	p.Fact("Server", d.Spec.ServerRef.Name)
	p.Fact("Origin", string(d.Status.Origin))
	p.Fact("Labels", labelsOf(d.Labels))
}

func empty(text string) bool { return text == "" }

func labelsOf(labels map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, key+"="+labels[key])
	}
	return strings.Join(texts, ", ")
}

func (p *printer) enrolment(d *Device) {
	p.Line("Enrolment")
	status := &d.Device.Status
	e := status.Enrollment
	if e == nil {
		p.Line("  none yet")
		return
	}
	state := string(e.State)
	if e.EndReason != "" {
		state += " (" + e.EndReason + ")"
	}
	if e.Since != nil {
		state += " since " + p.Since(e.Since.Time)
	}
	p.Fact("State", state)
	p.Fact("Id", e.ID)
	p.Fact("Covers", string(e.Kind))
	if e.Token != "" {
		p.Fact("By", "EnrollmentToken "+e.Token)
	}
	if e.AutomatedEnrollment != "" {
		p.Fact("By", "AutomatedEnrollment "+e.AutomatedEnrollment)
	}
	if c := status.Identity; c != nil && c.NotAfter != nil {
		text := "ends " + look.Date(c.NotAfter.Time) + ", " + look.Days(c.NotAfter.Sub(p.Now))
		if c.RenewingSince != nil {
			text += "; renewal under way for " + p.Ago(c.RenewingSince.Time)
		}
		p.Fact("Certificate", text)
	}
	p.Fact("Proof", string(status.Authentication))
	var escrowed []string
	for _, secret := range status.Escrowed {
		escrowed = append(escrowed, string(secret))
	}
	p.Fact("Escrowed", strings.Join(escrowed, ", "))
	if d.Report == nil {
		return
	}
	if d.Report.LastSeen != nil {
		p.Fact("Last seen", p.Since(d.Report.LastSeen.Time))
	}
	p.Fact("Server says", d.Report.Message)
}

func (p *printer) conditions(d *mdmv1alpha1.Device) {
	p.Line("Conditions")
	if len(d.Status.Conditions) == 0 {
		p.Line("  none yet: the operator has not looked at it")
	}
	for _, c := range d.Status.Conditions {
		p.Line("  %s %-18s %s (%s) for %s", p.Mark(look.StateOf(d, c)), c.Type, c.Status, c.Reason, p.Ago(c.LastTransitionTime.Time))
		p.Text("      ", c.Message)
	}
	if e := d.Status.LastError; e != nil {
		p.refusal("Last refused", e.Message, e.LocURI, e.At)
	}
	if drift := d.Status.LastDrift; drift != nil {
		p.refusal("Last repaired", "a setting of the Profile "+drift.Profile+" was lost and given back", drift.LocURI, drift.At)
	}
}

func (p *printer) refusal(what, message, locURI string, at *metav1.Time) {
	text := what
	if at != nil {
		text += " " + p.Since(at.Time)
	}
	p.Line("  %s", text)
	p.Text("      ", strings.TrimSpace(message+" "+locURI))
}

// outcomes are how well the outcomes of a profile are.
var outcomes = map[string]look.State{"Installed": look.Well, "Failed": look.Wrong}

func (p *printer) profiles(d *Device) {
	p.Line("Profiles")
	if d.Report == nil {
		for _, failing := range d.Device.Status.Failing {
			p.Line("  %s %s refused", p.Mark(look.Wrong), printers.EscapeTerminal(failing.Profile))
			p.Text("      ", failing.Message)
		}
		if more := number(d.Device.Status.FailingCount) - int32(len(d.Device.Status.Failing)); more > 0 {
			p.Line("  and %d more that it refuses", more)
		}
		p.Line("  the others are not shown: see the note")
		return
	}
	if len(d.Report.Profiles) == 0 {
		p.Line("  none is for it")
	}
	for _, one := range d.Report.Profiles {
		state, known := outcomes[one.Outcome]
		if !known {
			state = look.Waits
		}
		p.Line("  %s %s", p.Mark(state), printers.EscapeTerminal(p.state(one)))
		p.Text("      ", one.Message)
	}
}

// state says how far a profile is.
func (p *printer) state(one livev1alpha1.ProfileState) string {
	text := one.Profile
	if one.User != "" {
		text += " of the user " + one.User
	}
	text += ": " + one.Outcome
	if one.Since != nil {
		text += " for " + p.Ago(one.Since.Time)
	}
	if one.Attempts > 0 {
		text += ", " + look.Count(one.Attempts, "delivery without an answer", "deliveries without an answer")
	}
	if one.NextAttempt != nil && one.NextAttempt.After(p.Now) {
		text += ", the next one not before " + look.Date(one.NextAttempt.Time)
	}
	return text
}

func (p *printer) commands(commands []Command) {
	if len(commands) == 0 {
		return
	}
	p.Line("")
	p.Line("Commands that wait for it")
	var rows []look.Row
	for _, c := range commands {
		rows = append(rows, look.Row{Mark: p.Mark(look.Waits), Cells: []string{c.Name, c.Type, c.State, p.Ago(c.CreatedAt.Time)}})
	}
	p.Table([]string{"NAME", "ACTION", "STATE", "AGE"}, rows)
}

func (p *printer) history(report *livev1alpha1.DeviceReport, asked int) {
	if report == nil || asked == 0 {
		return
	}
	p.Line("")
	p.Line("History, the newest first")
	if len(report.History) == 0 {
		p.Line("  nothing happened yet")
		return
	}
	var rows []look.Row
	for _, h := range report.History {
		rows = append(rows, look.Row{Mark: " ", Cells: []string{h.Time.UTC().Format(time.DateTime), h.Type, what(h), cmp.Or(h.Message, "-")}})
	}
	p.Table([]string{"TIME (UTC)", "TYPE", "WHAT", "MESSAGE"}, rows)
}

// what something that happened was about.
func what(h livev1alpha1.HistoryEntry) string {
	text := h.RequestType
	switch {
	case h.Profile != "":
		text += " Profile " + h.Profile
	case h.Command != "":
		text += " DeviceCommand " + h.Command
	}
	if h.User != "" {
		text += " of the user " + h.User
	}
	return cmp.Or(strings.TrimSpace(text), "-")
}

func (p *printer) needs(needs []look.Need) {
	if len(needs) == 0 {
		p.Line("Nothing needs a person")
		return
	}
	p.Line("What needs a person")
	for _, n := range needs {
		text := n.Reason
		if n.Condition != "" {
			text = fmt.Sprintf("%s (%s)", n.Condition, n.Reason)
		}
		p.Line("  %s %s", p.Mark(look.Wrong), text)
		p.Text("      ", n.Message)
		if n.Runbook != "" {
			p.Line("      Runbook: %s", n.Runbook)
		}
	}
}

func number(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

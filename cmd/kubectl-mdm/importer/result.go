package importer

import (
	"fmt"
	"maps"
	"slices"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxShown bounds the refused devices that are listed.
const maxShown = 100

// result is what became of the enrolments, or would.
type result struct {
	// total are all with an enrolment, disabled those that NanoMDM manages no more, unfinished those that never had one.
	total, disabled, unfinished, users int
	imported                           int
	// unchanged counts by why.
	unchanged map[string]int
	refused   []refusal
}

// refusal is an enrolment that is not taken over.
type refusal struct{ serial, id, reason string }

func newResult() *result { return &result{unchanged: map[string]int{}} }

func (r *result) refuse(e *livev1alpha1.ImportedEnrollment, reason string) {
	r.refused = append(r.refused, refusal{serial: e.SerialNumber, id: e.DeviceID, reason: reason})
}

func (r *result) take(e *livev1alpha1.ImportedEnrollment, got livev1alpha1.ImportResult) {
	switch adminapi.ImportOutcome(got.Outcome) {
	case adminapi.Imported:
		r.imported++
	case adminapi.ImportUnchanged:
		r.unchanged[got.Message]++
	default:
		r.refuse(e, got.Message)
	}
}

// done counts those of which is known what became of them.
func (r *result) done() int {
	n := r.imported + len(r.refused) + r.disabled
	for _, of := range r.unchanged {
		n += of
	}
	return n
}

// print tells what became of the enrolments and what comes next.
func (m *move) print() error {
	p, r := look.NewPrinter(m.env), m.result
	p.Line("NanoMDM, %s, to the MDMServer %s (import %s)", m.db.Name(), m.server, m.name)
	p.Fact("Profile", m.profile.Identifier)
	p.Fact("Topic", fmt.Sprintf("%s, as the APNSCertificate %s", m.profile.Topic, m.target.certificate))
	p.Fact("Addresses", m.profile.ServerURL+" and "+m.profile.CheckInURL)
	p.Fact("Access rights", fmt.Sprint(m.profile.AccessRights))
	p.Line("")
	p.Line("Enrolments: %d, with %s", r.total, look.Count(r.users, "user of a device", "users of devices"))
	p.Line("  %s %5d %s", p.Mark(look.Well), r.imported, m.words("would be imported", "imported"))
	for _, why := range slices.Sorted(maps.Keys(r.unchanged)) {
		p.Line("  %s %5d %s", p.Mark(look.Well), r.unchanged[why], "unchanged: "+why)
	}
	if r.disabled > 0 {
		p.Line("  %s %5d %s", p.Mark(look.Waits), r.disabled, "skipped: disabled in NanoMDM, which manages them no more")
	}
	if r.unfinished > 0 {
		p.Line("  %s %5d %s", p.Mark(look.Waits), r.unfinished, "skipped: began to enrol and never finished")
	}
	if len(r.refused) > 0 {
		p.Line("  %s %5d %s", p.Mark(look.Wrong), len(r.refused), m.words("would be refused", "refused"))
	}
	m.refusals(p)
	p.Line("")
	p.Text("", "Next step: "+m.next())
	if p.Err != nil {
		return p.Err
	}
	if m.commit && len(r.refused) > 0 {
		return fmt.Errorf("%s refused", look.Count(len(r.refused), "enrolment was", "enrolments were"))
	}
	return nil
}

func (m *move) refusals(p *look.Printer) {
	refused := m.result.refused
	if len(refused) == 0 {
		return
	}
	p.Line("")
	p.Line("Refused")
	var rows []look.Row
	for _, r := range refused[:min(len(refused), maxShown)] {
		rows = append(rows, look.Row{Mark: p.Mark(look.Wrong), Cells: []string{r.serial, r.id, r.reason}})
	}
	p.Table([]string{"SERIAL NUMBER", "ID", "WHY"}, rows)
	if more := len(refused) - maxShown; more > 0 {
		p.Line("    and %d more", more)
	}
}

// words are those of a dry run, or of what was done.
func (m *move) words(dry, done string) string {
	if m.commit {
		return done
	}
	return dry
}

func (m *move) next() string {
	r := m.result
	switch {
	case !m.commit && r.imported > 0 && len(r.refused) > 0:
		return "correct what is refused, or leave it behind, and run the command again with --commit. Nothing was stored."
	case !m.commit && r.imported > 0:
		return "run the command again with --commit. Nothing was stored."
	case !m.commit && len(r.refused) > 0:
		return "correct what is refused and run the command again. Nothing was stored."
	case m.commit && r.imported > 0:
		return fmt.Sprintf("point %s to this server if it does not lead here yet, and watch the devices call: kubectl mdm devices", m.target.server.Spec.Host)
	}
	return "nothing is left to do here."
}

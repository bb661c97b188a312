package status

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// named is how many objects with the same need are named.
const named = 3

// printer writes the screen.
type printer struct {
	*look.Printer
	everywhere bool
}

func (p *printer) screen(s *Status) {
	p.Line("KubeMDM %s at %s", look.Where(s.Namespace), look.Date(p.Now))
	p.Line("")
	p.servers(s)
	p.Line("")
	p.certificates(s)
	p.Line("")
	p.fleet(s)
	p.Line("")
	p.needs(s)
}

// name is that of an object, with its namespace if there may be several.
func (p *printer) name(namespace, name string) string {
	if p.everywhere {
		return namespace + "/" + name
	}
	return name
}

func (p *printer) servers(s *Status) {
	p.Line("Servers")
	if len(s.Servers) == 0 {
		p.Line("  none: an MDMServer makes one")
		return
	}
	var rows []look.Row
	for _, one := range s.Servers {
		row := look.Row{Mark: p.Mark(look.Well), Cells: []string{
			p.name(one.Namespace, one.Name), one.Ready, one.Version, one.Host, one.Trust,
			fmt.Sprint(one.Enrolled), fmt.Sprint(one.Responding), fmt.Sprint(one.Behind),
		}}
		switch one.Ready {
		case "False":
			row.Mark, row.Cells[1] = p.Mark(look.Wrong), one.Ready+" ("+one.Reason+")"
		case "Unknown":
			row.Mark = p.Mark(look.Waits)
		}
		rows = append(rows, row)
	}
	p.Table([]string{"NAME", "READY", "VERSION", "HOST", "TLS", "ENROLLED", "RESPONDING", "BEHIND"}, rows)
}

func (p *printer) certificates(s *Status) {
	p.Line("Certificates and tokens, the one first that ends first")
	if len(s.Certificates) == 0 {
		p.Line("  none yet")
		return
	}
	var rows []look.Row
	for _, c := range s.Certificates {
		row := look.Row{Mark: p.Mark(look.Well), Cells: []string{
			strings.TrimSpace(c.What + " " + c.Role), c.Kind + " " + p.name(c.Namespace, c.Name), look.Date(c.NotAfter.Time), look.Days(c.NotAfter.Sub(p.Now)),
		}}
		switch {
		case c.Soon && c.NotAfter.Sub(p.Now) <= 0:
			row.Mark = p.Mark(look.Wrong)
		case c.Soon:
			row.Mark = p.Mark(look.Waits)
		}
		rows = append(rows, row)
	}
	p.Table([]string{"WHAT", "OF", "ENDS", "LEFT"}, rows)
}

func (p *printer) fleet(s *Status) {
	p.Line("Fleet")
	if len(s.Fleet.Devices) == 0 {
		p.Line("  Devices   none")
	}
	for i, d := range s.Fleet.Devices {
		label := ""
		if i == 0 {
			label = "Devices"
		}
		p.Line("  %-9s %-8s %s", label, d.Platform, parts(d.Total, []part{
			{d.Enrolled, "enrolled"}, {d.Pending, "enrolling"}, {d.Awaited, "not enrolled yet"}, {d.Ended, "left"}, {d.Silent, "silent"}, {d.Failing, "refusing a profile"},
		}))
	}
	f := s.Fleet
	p.Line("  %-9s %-8s %s", "Profiles", "", parts(f.Profiles.Total, []part{
		{f.Profiles.Converged, "everywhere they should be"}, {f.Profiles.Behind, "behind"}, {f.Profiles.Failing, "refused by devices"},
		{f.Profiles.NotPublished, "not published"},
	}))
	p.Line("  %-9s %-8s %s", "Commands", "", parts(f.Commands.Total, []part{
		{f.Commands.Running, "running"}, {f.Commands.Succeeded, "done"}, {f.Commands.Failed, "failed"},
	}))
}

type part struct {
	n    int
	what string
}

// parts is a total and what it is made of, without what is not there.
func parts(total int, of []part) string {
	var texts []string
	for _, one := range of {
		if one.n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", one.n, one.what))
		}
	}
	if len(texts) == 0 {
		return fmt.Sprint(total)
	}
	return fmt.Sprintf("%d: %s", total, strings.Join(texts, ", "))
}

// group are needs of one kind and reason.
type group []look.Need

func groups(needs []look.Need) []group {
	var all []group
	for _, n := range needs {
		i := slices.IndexFunc(all, func(g group) bool { return g[0].Kind == n.Kind && g[0].Reason == n.Reason })
		if i < 0 {
			all = append(all, group{n})
			continue
		}
		all[i] = append(all[i], n)
	}
	return all
}

func (p *printer) needs(s *Status) {
	if len(s.Needs) == 0 {
		p.Line("Nothing needs a person")
		return
	}
	p.Line("What needs a person (%d)", len(s.Needs))
	for _, g := range groups(s.Needs) {
		p.group(g)
	}
}

// group writes what some objects need: the names of a few, and the message of the first, which goes for the others with their own names.
func (p *printer) group(g group) {
	var names []string
	for _, n := range g[:min(named, len(g))] {
		names = append(names, p.name(n.Namespace, n.Name))
	}
	who := g[0].Kind + " " + strings.Join(names, ", ")
	if more := len(g) - named; more > 0 {
		who += fmt.Sprintf(" and %d more", more)
	}
	since := ""
	if g[0].Since != nil && len(g) == 1 {
		since = " for " + duration.HumanDuration(max(0, p.Now.Sub(g[0].Since.Time)))
	}
	p.Line("  %s %s: %s%s", p.Mark(look.Wrong), printers.EscapeTerminal(who), g[0].Reason, since)
	p.Text("      ", g[0].Message)
	if g[0].NextStep != "" {
		p.Text("      ", "Next step: "+g[0].NextStep)
	}
	if g[0].Runbook != "" {
		p.Line("      Runbook: %s", g[0].Runbook)
	}
}

package look

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// width is where text is wrapped, in characters.
const width = 100

// None stands where there is nothing.
const None = "<none>"

// State is how well something is.
type State int

// The states.
const (
	Well State = iota
	Waits
	Wrong
)

// marks of the states, each with its colour.
var marks = map[State]struct{ sign, colour string }{
	Well:  {"✓", "\x1b[32m"},
	Waits: {"…", "\x1b[33m"},
	Wrong: {"✗", "\x1b[31m"},
}

// Printer writes text for people. The first error of the writer stays in Err, and nothing is written after it.
type Printer struct {
	Now    time.Time
	Err    error
	w      io.Writer
	colour bool
}

// NewPrinter writes to the output of a command.
func NewPrinter(e *cli.Env) *Printer {
	return &Printer{Now: e.Clock.Now(), w: e.Out, colour: e.Colour}
}

// Line writes one line.
func (p *Printer) Line(format string, args ...any) {
	if p.Err == nil {
		_, p.Err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// Text writes what came from the cluster, wrapped and indented. It can hold nothing that a terminal obeys.
func (p *Printer) Text(indent, text string) {
	line := ""
	for _, word := range strings.Fields(printers.EscapeTerminal(text)) {
		switch {
		case line == "":
			line = word
		case len(indent)+len(line)+1+len(word) > width:
			p.Line("%s%s", indent, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		p.Line("%s%s", indent, line)
	}
}

// Mark is the sign of a state.
func (p *Printer) Mark(s State) string {
	m := marks[s]
	if !p.colour {
		return m.sign
	}
	return m.colour + m.sign + "\x1b[0m"
}

// Fact writes a name and its value, if there is one.
func (p *Printer) Fact(name, value string) {
	if value != "" {
		p.Line("  %-14s %s", name, printers.EscapeTerminal(value))
	}
}

// Row is a line of a table. Its mark may have a colour, its cells come from the cluster.
type Row struct {
	Mark  string
	Cells []string
}

// Table writes rows in columns below a head. What stands in a cell can hold nothing that a terminal obeys; an empty cell is None.
func (p *Printer) Table(head []string, rows []Row) {
	widths := make([]int, len(head))
	lines := append([]Row{{Mark: " ", Cells: head}}, rows...)
	for i := range lines {
		lines[i].Cells = append([]string(nil), lines[i].Cells...)
		for j, cell := range lines[i].Cells {
			cell = strings.Join(strings.Fields(printers.EscapeTerminal(cell)), " ")
			if cell == "" {
				cell = None
			}
			lines[i].Cells[j] = cell
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		text := line.Mark
		for j, cell := range line.Cells {
			text += " " + cell + strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+2)
		}
		p.Line("  %s", strings.TrimRight(text, " "))
	}
}

// Date is how times are shown.
func Date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Since tells a time and how long ago it was.
func (p *Printer) Since(t time.Time) string { return fmt.Sprintf("%s (%s ago)", Date(t), p.Ago(t)) }

// Ago is how long ago something was. A clock that is a little behind makes nothing negative.
func (p *Printer) Ago(t time.Time) string { return duration.HumanDuration(max(0, p.Now.Sub(t))) }

// Days tells how much is left.
func Days(left time.Duration) string {
	const day = 24 * time.Hour
	switch n := int(left / day); {
	case left <= 0 && n == 0:
		return "ended less than a day ago"
	case left <= 0 && n == -1:
		return "ended a day ago"
	case left <= 0:
		return fmt.Sprintf("ended %d days ago", -n)
	case n == 0:
		return "less than a day left"
	case n == 1:
		return "1 day left"
	default:
		return fmt.Sprintf("%d days left", n)
	}
}

// Count is a number with its noun.
func Count[N int | int32 | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

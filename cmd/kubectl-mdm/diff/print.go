package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// signs of the states, and how they look.
var signs = map[State]struct {
	sign  string
	state look.State
}{New: {"+", look.Well}, Changed: {"~", look.Waits}, Refused: {"✗", look.Wrong}}

// colours of those.
var colours = map[look.State]string{look.Well: "\x1b[32m", look.Waits: "\x1b[33m", look.Wrong: "\x1b[31m"}

// print writes the report to Out, and for people the sum to ErrOut.
func (o *diff) print(r *report) error {
	if o.output != "" {
		return look.Encode(o.env, o.output, r)
	}
	p := look.NewPrinter(o.env)
	for _, c := range r.Changes {
		if c.State != Unchanged {
			o.printChange(p, c)
		}
	}
	for _, f := range r.Follows {
		p.Line("%s Profile %s/%s stays as it is, and labels of devices change", o.paint("~", look.Waits), f.Namespace, f.Name)
		o.printEffect(p, &f.Effect)
		if f.Held {
			p.Text("    ", "! the removal guard would hold: nobody loses it until somebody acknowledges it")
		}
	}
	if p.Err != nil {
		return p.Err
	}
	for _, note := range r.Notes {
		if _, err := fmt.Fprintln(o.env.ErrOut, "Note:", printers.EscapeTerminal(note)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(o.env.ErrOut, "%s: %d new, %d changed, %d unchanged, %d refused\n", look.Count(len(r.Changes), "object", "objects"),
		r.count(New), r.count(Changed), r.count(Unchanged), r.count(Refused))
	return err
}

func (o *diff) paint(text string, state look.State) string {
	if !o.env.Colour {
		return text
	}
	return colours[state] + text + "\x1b[0m"
}

func (o *diff) printChange(p *look.Printer, c *Change) {
	sign := signs[c.State]
	p.Line("%s %s %s %s (%s:%d)", o.paint(sign.sign, sign.state), c.Kind, printers.EscapeTerminal(c.Namespace+"/"+c.Name), strings.ToLower(string(c.State)),
		printers.EscapeTerminal(c.File), c.Line)
	if c.Message != "" {
		p.Text("    ", c.Message)
	}
	for _, f := range c.Fields {
		p.Line("    %s: %s", printers.EscapeTerminal(f.Path), f.String())
	}
	switch {
	case c.Devices == nil:
	case c.Kind == "DeviceCommand":
		if n := len(c.Devices.Gain); n > 0 {
			p.Line("    %s: %s", o.paint(look.Count(n, "device is asked", "devices are asked"), look.Waits), printers.EscapeTerminal(o.some(c.Devices.Gain)))
		}
	default:
		o.printEffect(p, c.Devices)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Setups)) {
		e := c.Setups[name]
		p.Line("    setup profile %s", name)
		o.printEffect(p, &e)
	}
	if len(c.Gains) > 0 {
		p.Text("    ", "gains the Profiles "+strings.Join(c.Gains, ", "))
	}
	if len(c.Loses) > 0 {
		p.Text("    ", "loses the Profiles "+strings.Join(c.Loses, ", "))
	}
	for _, warning := range c.Warnings {
		p.Text("    ", "! "+warning)
	}
	for _, note := range c.Notes {
		p.Text("    ", note)
	}
}

func (o *diff) printEffect(p *look.Printer, e *Effect) {
	keeps, keep := "device keeps it as it is", "devices keep it as it is"
	if e.Updated {
		keeps, keep = "device gets it anew", "devices get it anew"
	}
	for _, part := range []struct {
		one, many string
		names     []string
		state     look.State
	}{
		{"device gains it", "devices gain it", e.Gain, look.Well},
		{keeps, keep, e.Keep, look.Waits},
		{"device loses it", "devices lose it", e.Lose, look.Wrong},
		{"device gets it when it enrols", "devices get it when they enrol", e.Awaited, look.Waits},
	} {
		if n := len(part.names); n > 0 {
			p.Line("    %s: %s", o.paint(look.Count(n, part.one, part.many), part.state), printers.EscapeTerminal(o.some(part.names)))
		}
	}
}

// some are the first names, or all that are asked for.
func (o *diff) some(names []string) string {
	if o.all || len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// String is a change of a field in few words.
func (f Field) String() string {
	return printers.EscapeTerminal(short(f.Before) + " → " + short(f.After))
}

// short is a value in a few characters.
func short(value any) string {
	const limit = 60
	if value == nil {
		return "(absent)"
	}
	content, err := json.Marshal(value)
	if err != nil {
		return "(unreadable)"
	}
	text := string(content)
	if utf8.RuneCountInString(text) > limit {
		text = string([]rune(text)[:limit]) + "…"
	}
	return text
}

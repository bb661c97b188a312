package lint

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/manifest"
)

// result is the output for programs.
type result struct {
	Files    int            `json:"files"`
	Objects  int            `json:"objects"`
	Ignored  map[string]int `json:"ignored,omitempty"`
	Patches  int            `json:"patches,omitempty"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Findings []Finding      `json:"findings"`
}

// print writes the findings to Out, and for people the sum to ErrOut.
func (o *lint) print(set *manifest.Set) error {
	sum := result{
		Files: set.Files, Objects: len(set.Objects), Ignored: set.Ignored, Patches: set.Patches, Errors: o.count(Error), Warnings: o.count(Warning),
		Findings: append([]Finding{}, o.findings...),
	}
	if o.output == "json" {
		encoder := json.NewEncoder(o.env.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(sum)
	}
	for _, f := range o.findings {
		if _, err := fmt.Fprintln(o.env.Out, printers.EscapeTerminal(f.String())); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(o.env.ErrOut, sum)
	return err
}

// String is a finding in a line: file:line object: message.
func (f Finding) String() string {
	line := fmt.Sprintf("%s:%d", f.File, f.Line)
	if f.Object != "" {
		line += " " + f.Object
	}
	line += ": "
	if f.Severity == Warning {
		line += "warning: "
	}
	if f.Field != "" {
		line += f.Field + ": "
	}
	return line + strings.ReplaceAll(f.Message, "\n", " ")
}

func (r result) String() string {
	text := fmt.Sprintf("%s in %s: %s, %s", look.Count(r.Objects, "object", "objects"), look.Count(r.Files, "file", "files"),
		look.Count(r.Errors, "error", "errors"), look.Count(r.Warnings, "warning", "warnings"))
	if r.Patches > 0 {
		text += fmt.Sprintf("; left out %s of kustomize", look.Count(r.Patches, "patch", "patches"))
	}
	if len(r.Ignored) == 0 {
		return text
	}
	var kinds []string
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(r.Ignored)) {
		kinds = append(kinds, fmt.Sprintf("%s (%d)", kind, r.Ignored[kind]))
		total += r.Ignored[kind]
	}
	return fmt.Sprintf("%s; ignored %d of other kinds: %s", text, total, printers.EscapeTerminal(strings.Join(kinds, ", ")))
}

package lint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/manifest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/schema"
)

// patience bounds the judging of all objects.
const patience = 5 * time.Minute

// Severity of a finding.
type Severity string

// The severities.
const (
	// Error is what a cluster would refuse, or what could not work in it.
	Error Severity = "error"
	// Warning is what may be wrong, as far as these files show.
	Warning Severity = "warning"
)

// Finding is one thing that is wrong, or may be.
type Finding struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	// Object is kind/name, or kind/namespace/name; empty for what is no object.
	Object string `json:"object,omitempty"`
	// Field is the path of the field, if it is about one.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// lint is what the command was asked for.
type lint struct {
	env    *cli.Env
	output string
	strict bool
	// partly says that objects are compared as they are before kustomize patches them, so that what they say of each other may not last.
	partly   bool
	findings []Finding
}

// Command is "kubectl mdm lint".
func Command(e *cli.Env) *cobra.Command {
	o := &lint{env: e}
	c := &cobra.Command{
		Use:   "lint FILE|FOLDER|-...",
		Short: "Judge manifests without a cluster, as the API server and the operator do",
		Long: `Judge manifests without a cluster, as the API server and the operator do.

It reads files, folders with all that is below them (*.yaml, *.yml, *.json; kustomization.yaml and the patches it names are left out) and - for standard
input, such as what kustomize or helm print. Each object of mdm.kubemdm.io is judged by the schema, the rules and the checks of this version of the plugin: unknown and
duplicate fields, wrong unions, everything that "kubectl apply" or the operator would refuse. Then the objects are compared with each other: two Devices
that are one device, two Profiles with one identifier, a command for a device of another server. What refers to an object that is not among them is
a warning. Objects of other kinds are ignored, and counted.

The exit code is 1 if there is an error; --strict makes warnings errors. It needs no cluster and no rights.`,
		Example: `  # A repository, in its pipeline
  kubectl mdm lint --strict clusters/production

  # What kustomize makes of it
  kubectl kustomize overlays/berlin | kubectl mdm lint -

  # For a program that shows findings next to the lines
  kubectl mdm lint -o json manifests/`,
		Args: cobra.MinimumNArgs(1),
	}
	c.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) }
	c.Flags().StringVarP(&o.output, "output", "o", "", "Output format. One of: (json).")
	c.Flags().BoolVar(&o.strict, "strict", false, "make warnings errors")
	return c
}

func (o *lint) run(ctx context.Context, files []string) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("--output %s is not known: json is, and without it people can read the output", o.output)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	set, err := manifest.Read(o.env, files)
	if err != nil {
		return err
	}
	if err := o.judge(ctx, set); err != nil {
		return err
	}
	for i := range o.findings {
		if o.strict {
			o.findings[i].Severity = Error
		}
	}
	slices.SortStableFunc(o.findings, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	if err := o.print(set); err != nil {
		return err
	}
	if n := o.count(Error); n > 0 {
		return fmt.Errorf("found %s", look.Count(n, "error", "errors"))
	}
	return nil
}

// judge finds what is wrong with each object, and with the sound ones together.
func (o *lint) judge(ctx context.Context, set *manifest.Set) error {
	for _, p := range set.Broken {
		o.add(Finding{Severity: Error, File: p.File, Line: p.Line, Message: p.Message})
	}
	var sound []*manifest.Object
	for _, object := range set.Objects {
		before := o.count(Error)
		if err := o.judgeOne(ctx, object); err != nil {
			return err
		}
		if o.count(Error) == before {
			sound = append(sound, object)
		}
	}
	o.partly = set.Patches > 0
	return o.together(sound)
}

func (o *lint) judgeOne(ctx context.Context, object *manifest.Object) error {
	for _, p := range object.Problems {
		o.add(Finding{Severity: Error, File: p.File, Line: p.Line, Object: nameOf(object), Message: p.Message})
	}
	switch version := object.GetAPIVersion(); {
	case !schema.Known(object.GetKind()):
		o.fault(object, "kind", fmt.Sprintf("no kind %s in this version of KubeMDM", object.GetKind()))
		return nil
	case version != mdmv1alpha1.GroupVersion.String():
		o.fault(object, "apiVersion", fmt.Sprintf("no version %s in this version of KubeMDM: write %s", version, mdmv1alpha1.GroupVersion))
		return nil
	}
	if object.Object["status"] != nil {
		o.warn(object, "status", "the operator writes it, and what stands here is not taken")
	}
	faults, err := schema.Check(ctx, object.Unstructured, nil)
	if err != nil {
		return fmt.Errorf("judging %s in %s: %w", nameOf(object), object.File, err)
	}
	if ctx.Err() != nil {
		return errors.Join(errors.New("judging the objects was not finished"), ctx.Err())
	}
	for _, f := range faults {
		o.fault(object, f.Field, f.Message)
	}
	return nil
}

func (o *lint) fault(object *manifest.Object, field, message string) {
	o.find(Error, object, field, message)
}

// contradiction is that objects do not go together.
func (o *lint) contradiction(object *manifest.Object, field, message string) {
	if o.partly {
		o.warn(object, field, message+" (before kustomize patches it: lint what kubectl kustomize prints)")
		return
	}
	o.fault(object, field, message)
}

func (o *lint) warn(object *manifest.Object, field, message string) {
	o.find(Warning, object, field, message)
}

func (o *lint) find(severity Severity, object *manifest.Object, field, message string) {
	o.add(Finding{Severity: severity, File: object.File, Line: object.LineOf(field), Object: nameOf(object), Field: field, Message: message})
}

func (o *lint) add(f Finding) { o.findings = append(o.findings, f) }

func (o *lint) count(severity Severity) int {
	n := 0
	for _, f := range o.findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// nameOf is how an object is called in the output.
func nameOf(object *manifest.Object) string {
	name := cmp.Or(object.GetName(), object.GetGenerateName()+"*")
	if namespace := object.GetNamespace(); namespace != "" {
		name = namespace + "/" + name
	}
	return object.GetKind() + "/" + name
}

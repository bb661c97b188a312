package devices

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// wide is the output format that shows more.
const wide = "wide"

// list is what "devices" was asked for.
type list struct {
	env        *cli.Env
	everywhere bool
	selector   string
	filter     filter
	format     *genericclioptions.PrintFlags
}

// filter picks devices. All that is set has to hold.
type filter struct {
	platform, os, serial         string
	silent, failing, notEnrolled bool
}

// ListCommand is "kubectl mdm devices".
func ListCommand(e *cli.Env) *cobra.Command {
	o := &list{env: e, format: genericclioptions.NewPrintFlags("").WithTypeSetter(cli.Scheme)}
	o.format.TemplatePrinterFlags = nil
	c := &cobra.Command{
		Use:   "devices",
		Short: "List devices, and find those that are silent, failing or not enrolled",
		Long: `List devices, and find those that are silent, failing or not enrolled.

Filters are put together: a device is shown if all of them hold. --os takes a name, a name and the beginning of a version, or the beginning of a version.

Rights: list on devices.mdm.kubemdm.io.`,
		Example: `  # All of all namespaces
  kubectl mdm devices -A

  # Macs that were not heard of for too long
  kubectl mdm devices --os macOS --silent

  # Those on iOS 18 of one department
  kubectl mdm devices --os "iOS 18" -l department=sales

  # The one with a serial number, as an object
  kubectl mdm devices -A --serial C02XK1ABJG5H -o yaml`,
		Args: cobra.NoArgs,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, _ []string) error { return o.run(cmd.Context(), s) })
	flags := c.Flags()
	flags.BoolVarP(&o.everywhere, "all-namespaces", "A", false, "list the devices of all namespaces")
	flags.StringVarP(&o.selector, "selector", "l", "", "labels that the devices have, such as department=sales,!spare")
	flags.StringVar(&o.filter.platform, "platform", "", "Apple or Windows")
	flags.StringVar(&o.filter.os, "os", "", `operating system, such as macOS, "iOS 18" or 10.0.26100`)
	flags.StringVar(&o.filter.serial, "serial", "", "serial number, in upper or lower case")
	flags.BoolVar(&o.filter.silent, "silent", false, "those that are enrolled and were not heard of for longer than silentAfter of their server")
	flags.BoolVar(&o.filter.failing, "failing", false, "those that refuse a profile")
	flags.BoolVar(&o.filter.notEnrolled, "not-enrolled", false, "those that are declared and not enrolled yet, enrol just now, or have left")
	platforms := []cobra.Completion{string(mdmv1alpha1.PlatformApple), string(mdmv1alpha1.PlatformWindows)}
	utilruntime.Must(c.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions(platforms, cobra.ShellCompDirectiveNoFileComp)))
	o.format.AddFlags(c)
	flags.Lookup("output").Usage = "Output format. One of: (json, yaml, kyaml, name, wide)."
	return c
}

func (o *list) run(ctx context.Context, s *cli.Session) error {
	if err := o.filter.check(); err != nil {
		return err
	}
	selector, err := labels.Parse(o.selector)
	if err != nil {
		return fmt.Errorf("reading --selector: %w", err)
	}
	in := client.InNamespace(s.Namespace)
	if o.everywhere {
		in = ""
	}
	found := &mdmv1alpha1.DeviceList{}
	if err := look.All(ctx, o.env, s, found, "devices", in, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return err
	}
	all := len(found.Items)
	found.Items = slices.DeleteFunc(found.Items, func(d mdmv1alpha1.Device) bool { return !o.filter.match(&d) })
	slices.SortFunc(found.Items, func(a, b mdmv1alpha1.Device) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	switch output := *o.format.OutputFormat; {
	case output != "" && output != wide:
		return o.print(found)
	case all == 0:
		_, err := fmt.Fprintf(o.env.ErrOut, "There is no device %s that can be listed; kubectl mdm enroll leads through an enrolment\n", look.Where(string(in)))
		return err
	case len(found.Items) == 0:
		_, err := fmt.Fprintf(o.env.ErrOut, "None of %s %s is what was asked for\n", look.Count(all, "device", "devices"), look.Where(string(in)))
		return err
	}
	p := printers.NewTablePrinter(printers.PrintOptions{WithNamespace: o.everywhere, Wide: *o.format.OutputFormat == wide})
	return p.PrintObj(table(found, o.env.Clock.Now()), o.env.Out)
}

// print prints the list in one piece, or the name of each item, which is all that the printer of names can do.
func (o *list) print(found *mdmv1alpha1.DeviceList) error {
	for i := range found.Items { // typed clients leave out the kind
		found.Items[i].SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind("Device"))
	}
	printer, err := o.format.ToPrinter()
	if err != nil {
		return err
	}
	objects := []runtime.Object{found}
	if *o.format.OutputFormat == "name" {
		objects = nil
		for i := range found.Items {
			objects = append(objects, &found.Items[i])
		}
	}
	for _, object := range objects {
		if err := printer.PrintObj(object, o.env.Out); err != nil {
			return err
		}
	}
	return nil
}

func (f *filter) check() error {
	for _, known := range []mdmv1alpha1.Platform{"", mdmv1alpha1.PlatformApple, mdmv1alpha1.PlatformWindows} {
		if strings.EqualFold(f.platform, string(known)) {
			f.platform = string(known)
			return nil
		}
	}
	return fmt.Errorf("there is no platform %q; --platform is Apple or Windows", f.platform)
}

// match says whether all that was asked for holds of a device.
func (f *filter) match(d *mdmv1alpha1.Device) bool {
	switch {
	case f.platform != "" && string(d.Status.Platform) != f.platform,
		f.os != "" && !runs(d, f.os),
		f.serial != "" && !strings.EqualFold(look.Serial(d), f.serial),
		f.silent && !look.Silent(d),
		f.failing && !look.Failing(d),
		f.notEnrolled && look.Enrolment(d) == string(mdmv1alpha1.EnrollmentEnrolled):
		return false
	}
	return true
}

// runs says whether a device runs a system: its name, its version, or both, where a version may be cut off after any of its parts.
func runs(d *mdmv1alpha1.Device, asked string) bool {
	if d.Status.OS == nil {
		return false
	}
	for _, known := range []string{look.System(d), d.Status.OS.Version} {
		if strings.EqualFold(asked, known) {
			return true
		}
		if n := len(asked); n < len(known) && strings.EqualFold(known[:n], asked) && strings.ContainsRune(" .", rune(known[n])) {
			return true
		}
	}
	return false
}

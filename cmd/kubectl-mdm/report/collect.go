package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/status"
)

// kinds are what the objects of KubeMDM are. Devices come first: they tell which serial numbers there are.
var kinds = []struct {
	kind, resource string
	list           func() client.ObjectList
}{
	{"Device", "devices", func() client.ObjectList { return &mdmv1alpha1.DeviceList{} }},
	{"MDMServer", "mdmservers", func() client.ObjectList { return &mdmv1alpha1.MDMServerList{} }},
	{"APNSCertificate", "apnscertificates", func() client.ObjectList { return &mdmv1alpha1.APNSCertificateList{} }},
	{"AutomatedEnrollment", "automatedenrollments", func() client.ObjectList { return &mdmv1alpha1.AutomatedEnrollmentList{} }},
	{"EnrollmentToken", "enrollmenttokens", func() client.ObjectList { return &mdmv1alpha1.EnrollmentTokenList{} }},
	{"Profile", "profiles", func() client.ObjectList { return &mdmv1alpha1.ProfileList{} }},
	{"DeviceCommand", "devicecommands", func() client.ObjectList { return &mdmv1alpha1.DeviceCommandList{} }},
}

// collector gathers the files of a bundle.
type collector struct {
	*options
	session   *cli.Session
	namespace string
	now       time.Time
	secrecy   *secrecy
	files     []file
	// missing says in a line each what could not be read, and why.
	missing []string
}

func (c *collector) collect(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"objects " + look.Where(c.namespace), c.objects},
		{"the status", c.status},
		{"events", c.events},
		{"versions", c.versions},
		{"pods and logs", c.pods},
	} {
		if err := c.say("Reading %s", step.what); err != nil {
			return err
		}
		if err := step.do(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// say tells what is done.
func (c *collector) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c.env.ErrOut, format+"\n", args...)
	return err
}

// lack notes that something could not be read.
func (c *collector) lack(what string, err error) {
	c.missing = append(c.missing, fmt.Sprintf("%s: %v", what, err))
}

func (c *collector) add(name string, content []byte) {
	c.files = append(c.files, file{name: name, content: content})
}

// addYAML adds values that were cleared as documents of one file.
func (c *collector) addYAML(name string, values ...any) error {
	var all []string
	for _, value := range values {
		content, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		all = append(all, string(content))
	}
	c.add(name, []byte(strings.Join(all, "---\n")))
	return nil
}

// objects takes the objects of KubeMDM, a file for each kind in each namespace.
func (c *collector) objects(ctx context.Context) error {
	found := 0
	var refusal error
	for _, kind := range kinds {
		list := kind.list()
		if err := look.All(ctx, c.env, c.session, list, kind.resource, client.InNamespace(c.namespace)); err != nil {
			if ctx.Err() != nil || cli.KindUnknown(err) && kind.kind == kinds[0].kind {
				return err
			}
			refusal = err
			c.lack(kind.resource, err)
			continue
		}
		found++
		items, err := meta.ExtractList(list)
		if err != nil {
			return err
		}
		if err := c.kind(kind.kind, kind.resource, items); err != nil {
			return err
		}
	}
	if found == 0 {
		return refusal
	}
	return nil
}

func (c *collector) kind(kind, resource string, items []runtime.Object) error {
	places := map[string][]any{}
	for _, item := range items {
		if device, is := item.(*mdmv1alpha1.Device); is {
			c.secrecy.know(device)
		}
		item.GetObjectKind().SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind(kind)) // typed clients leave out the kind
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item)
		if err != nil {
			return fmt.Errorf("reading a %s: %w", kind, err)
		}
		c.secrecy.object(kind, object)
		namespace := item.(client.Object).GetNamespace()
		places[namespace] = append(places[namespace], object)
	}
	for namespace, objects := range places {
		if err := c.addYAML("objects/"+namespace+"/"+resource+".yaml", objects...); err != nil {
			return err
		}
	}
	return nil
}

// status takes what "kubectl mdm status -o json" shows.
func (c *collector) status(ctx context.Context) error {
	s, err := status.Read(ctx, &look.Reader{Env: c.env, Session: c.session, In: client.InNamespace(c.namespace)}, c.now)
	if err != nil {
		c.lack("status", err)
		return nil
	}
	for i := range s.Needs {
		s.Needs[i].Message, s.Needs[i].NextStep = c.secrecy.text(s.Needs[i].Message), c.secrecy.text(s.Needs[i].NextStep)
	}
	content, err := look.Marshal(s)
	if err != nil {
		return err
	}
	c.add("overview.json", content)
	return nil
}

// finish hides what must not be seen in all files, and puts the one first that says what is in the bundle.
func (c *collector) finish() []file {
	slices.SortFunc(c.files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	c.files = append([]file{{name: "README.txt", content: c.readme()}}, c.files...)
	hide := c.secrecy.replacer()
	for i := range c.files {
		c.files[i].name = hide.Replace(c.files[i].name)
		c.files[i].content = []byte(hide.Replace(string(c.files[i].content)))
	}
	return c.files
}

func (c *collector) readme() []byte {
	lines := []string{
		"Support bundle of KubeMDM, " + look.Where(c.namespace) + ", at " + look.Date(c.now),
		"Written by kubectl mdm " + c.version,
		"",
	}
	if c.redact {
		lines = append(lines, "Serial numbers, UDIDs, names of devices and their users are replaced by pseudonyms such as device-1a2b3c4d.")
	}
	lines = append(lines,
		removed+" stands for what was taken out: settings of profiles, contents of commands, and what looks like a key, token or password.",
		"Secrets and ConfigMaps were not read.", "", "What is missing:")
	if len(c.missing) == 0 {
		lines = append(lines, "  nothing")
	}
	for _, line := range c.missing {
		lines = append(lines, "  "+c.secrecy.text(line))
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

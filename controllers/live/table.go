package live

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// table prints objects of one kind as kubectl get shows them.
func table[T any](obj runtime.Object, columns []metav1.TableColumnDefinition, cells func(T) []any) (*metav1.Table, error) {
	t := &metav1.Table{ColumnDefinitions: columns}
	add := func(o runtime.Object) error {
		item, ok := o.(T)
		if !ok {
			return fmt.Errorf("%T has no columns", o)
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: cells(item), Object: runtime.RawExtension{Object: o}})
		return nil
	}
	if !meta.IsListType(obj) {
		return t, add(obj)
	}
	if list, err := meta.ListAccessor(obj); err == nil {
		t.ResourceVersion = list.GetResourceVersion()
	}
	return t, meta.EachListItem(obj, add)
}

func column(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Description: description}
}

func nameColumn(description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: description}
}

// wide is a column that kubectl get --output=wide alone shows.
func wide(name, description string) metav1.TableColumnDefinition {
	c := column(name, description)
	c.Priority = 1
	return c
}

// ConvertToTable implements rest.TableConvertor.
func (r *deviceReports) ConvertToTable(_ context.Context, obj, _ runtime.Object) (*metav1.Table, error) {
	return table(obj, []metav1.TableColumnDefinition{
		nameColumn("the Device"), column("Server", "its MDMServer"), column("State", "of its enrolment"), column("Last Seen", "how long ago it called"),
		column("Responding", "no: it has been silent for too long"), column("Profiles", "installed of those that it should have"), wide("Message", "what a person should know"),
	}, func(d *livev1alpha1.DeviceReport) []any {
		installed, all := 0, 0
		for _, p := range d.Profiles {
			if p.Outcome == string(adminapi.ArtifactRemoving) {
				continue
			}
			all++
			if p.Outcome == string(adminapi.ArtifactInstalled) {
				installed++
			}
		}
		return []any{d.Name, d.Server, d.State, r.ago(d.LastSeen), yes(d.Responding), fmt.Sprintf("%d/%d", installed, all), d.Message}
	})
}

// ConvertToTable implements rest.TableConvertor.
func (r *profileReports) ConvertToTable(_ context.Context, obj, _ runtime.Object) (*metav1.Table, error) {
	count := func(name, description string) metav1.TableColumnDefinition {
		return metav1.TableColumnDefinition{Name: name, Type: "integer", Description: description}
	}
	return table(obj, []metav1.TableColumnDefinition{
		nameColumn("the Profile"), column("Server", "its MDMServer"), count("Targeted", "devices that should have it"), count("Installed", "devices that have it"),
		count("Pending", "devices on their way"), count("Failed", "devices that refused it"),
	}, func(p *livev1alpha1.ProfileReport) []any {
		return []any{p.Name, p.Server, int64(p.Targeted), int64(p.Installed), int64(p.Pending), int64(p.Failed)}
	})
}

// ConvertToTable implements rest.TableConvertor.
func (r *deviceEvents) ConvertToTable(_ context.Context, obj, _ runtime.Object) (*metav1.Table, error) {
	return table(obj, []metav1.TableColumnDefinition{
		column("Time", "when it happened"), column("Device", "the Device, or the device's id"), column("Type", "what happened"),
		column("Subject", "what a command was for"), column("Message", "what the device said"), wide("Server", "the MDMServer"), wide("Request", "the protocol's name of the command"),
	}, func(e *livev1alpha1.DeviceEvent) []any {
		device := e.Device
		if device == "" {
			device = e.DeviceID
		}
		return []any{e.Time.UTC().Format(time.RFC3339), device, e.Type, subject(e), oneLine(e.Message), e.Server, e.RequestType}
	})
}

// ConvertToTable implements rest.TableConvertor. A PIN is not for a table that lies about on a screen.
func (r *devicePINs) ConvertToTable(_ context.Context, obj, _ runtime.Object) (*metav1.Table, error) {
	return table(obj, []metav1.TableColumnDefinition{
		nameColumn("the DeviceCommand"), column("Server", "its MDMServer"), {Name: "PINs", Type: "integer", Description: "how many; --output=yaml shows them"},
	}, func(p *livev1alpha1.DevicePIN) []any { return []any{p.Name, p.Server, int64(len(p.PINs))} })
}

// ConvertToTable implements rest.TableConvertor.
func (r *enrollmentImports) ConvertToTable(_ context.Context, obj, _ runtime.Object) (*metav1.Table, error) {
	return table(obj, []metav1.TableColumnDefinition{
		column("Server", "the MDMServer"), column("Import", "of its spec"), {Name: "Results", Type: "integer", Description: "how many enrolments were judged"},
	}, func(i *livev1alpha1.EnrollmentImport) []any { return []any{i.Server, i.Import, int64(len(i.Results))} })
}

// subject is what a command was for.
func subject(e *livev1alpha1.DeviceEvent) string {
	switch {
	case e.Profile != "":
		return "profile/" + e.Profile
	case e.Command != "":
		return "devicecommand/" + e.Command
	}
	return e.RequestType
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (f *fleet) ago(t *metav1.Time) string {
	if t.IsZero() {
		return "never"
	}
	return duration.HumanDuration(f.Clock.Since(t.Time))
}

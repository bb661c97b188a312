package devices

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// columns of the list. Those with a priority are shown with -o wide only.
var columns = []struct {
	name     string
	priority int32
	cell     func(d *mdmv1alpha1.Device, now time.Time) string
}{
	{"Name", 0, func(d *mdmv1alpha1.Device, _ time.Time) string { return d.Name }},
	{"Serial Number", 0, func(d *mdmv1alpha1.Device, _ time.Time) string { return look.Serial(d) }},
	{"Model", 0, func(d *mdmv1alpha1.Device, _ time.Time) string { return model(d) }},
	{"OS", 0, func(d *mdmv1alpha1.Device, _ time.Time) string { return look.System(d) }},
	{"Enrolment", 0, func(d *mdmv1alpha1.Device, _ time.Time) string { return look.Enrolment(d) }},
	{"Responding", 0, func(d *mdmv1alpha1.Device, _ time.Time) string { return condition(d, mdmv1alpha1.DeviceResponding) }},
	{"Profiles", 0, func(d *mdmv1alpha1.Device, _ time.Time) string { return profiles(d) }},
	{"Age", 0, func(d *mdmv1alpha1.Device, now time.Time) string {
		return duration.HumanDuration(now.Sub(d.CreationTimestamp.Time))
	}},
	{"Platform", 1, func(d *mdmv1alpha1.Device, _ time.Time) string { return string(d.Status.Platform) }},
	{"Server", 1, func(d *mdmv1alpha1.Device, _ time.Time) string { return d.Spec.ServerRef.Name }},
	{"Origin", 1, func(d *mdmv1alpha1.Device, _ time.Time) string { return string(d.Status.Origin) }},
	{"Device Name", 1, func(d *mdmv1alpha1.Device, _ time.Time) string { return d.Status.DeviceName }},
	{"User", 1, func(d *mdmv1alpha1.Device, _ time.Time) string { return d.Status.UserPrincipalName }},
	{"Since", 1, func(d *mdmv1alpha1.Device, now time.Time) string { return since(d, now) }},
}

func table(list *mdmv1alpha1.DeviceList, now time.Time) *metav1.Table {
	result := &metav1.Table{}
	for _, column := range columns {
		result.ColumnDefinitions = append(result.ColumnDefinitions, metav1.TableColumnDefinition{Name: column.name, Type: "string", Priority: column.priority})
	}
	for i := range list.Items {
		row := metav1.TableRow{Object: runtime.RawExtension{Object: &list.Items[i]}}
		for _, column := range columns {
			row.Cells = append(row.Cells, cmp.Or(column.cell(&list.Items[i], now), look.None))
		}
		result.Rows = append(result.Rows, row)
	}
	return result
}

// model is the best name of what a device is.
func model(d *mdmv1alpha1.Device) string {
	h := d.Status.Hardware
	if h == nil {
		return ""
	}
	return cmp.Or(h.ModelName, h.ProductName, h.Model)
}

func condition(d *mdmv1alpha1.Device, name string) string {
	c := meta.FindStatusCondition(d.Status.Conditions, name)
	if c == nil {
		return string(metav1.ConditionUnknown)
	}
	return string(c.Status)
}

// profiles says whether a device refuses any.
func profiles(d *mdmv1alpha1.Device) string {
	switch n := d.Status.FailingCount; {
	case n != nil && *n > 0:
		return look.Count(*n, "refused", "refused")
	case look.Failing(d):
		return "refused"
	case look.Enrolment(d) != string(mdmv1alpha1.EnrollmentEnrolled):
		return ""
	}
	return "accepted"
}

// since is how long the enrolment is what it is.
func since(d *mdmv1alpha1.Device, now time.Time) string {
	if d.Status.Enrollment == nil || d.Status.Enrollment.Since == nil {
		return ""
	}
	return duration.HumanDuration(now.Sub(d.Status.Enrollment.Since.Time))
}

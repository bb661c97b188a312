package apns

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// none stands where there is nothing.
const none = "<none>"

// table lists certificates.
type table struct {
	now     time.Time
	servers []mdmv1alpha1.MDMServer
}

// columns of the list. Those with a priority are shown with -o wide only.
var columns = []struct {
	metav1.TableColumnDefinition
	cell func(t table, c *mdmv1alpha1.APNSCertificate) string
}{
	{text("Name", 0), func(_ table, c *mdmv1alpha1.APNSCertificate) string { return c.Name }},
	{text("Ready", 0), func(_ table, c *mdmv1alpha1.APNSCertificate) string { return ready(c) }},
	{text("State", 0), func(_ table, c *mdmv1alpha1.APNSCertificate) string { return stands(c) }},
	{text("Topic", 0), func(_ table, c *mdmv1alpha1.APNSCertificate) string { return c.Status.Topic }},
	{text("Ends", 0), func(t table, c *mdmv1alpha1.APNSCertificate) string { return t.ends(c) }},
	{text("Age", 0), func(t table, c *mdmv1alpha1.APNSCertificate) string {
		return duration.HumanDuration(t.now.Sub(c.CreationTimestamp.Time))
	}},
	{text("Apple Account", 1), func(_ table, c *mdmv1alpha1.APNSCertificate) string {
		return cmp.Or(c.Status.AppleAccount, c.Spec.AppleAccount)
	}},
	{text("Servers", 1), func(t table, c *mdmv1alpha1.APNSCertificate) string { return t.users(c) }},
	{text("Next Step", 1), func(_ table, c *mdmv1alpha1.APNSCertificate) string { return c.Status.NextStep }},
}

func text(name string, priority int32) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Priority: priority}
}

// of makes the table of a list, sorted by namespace and name.
func (t table) of(list *mdmv1alpha1.APNSCertificateList) *metav1.Table {
	slices.SortFunc(list.Items, func(a, b mdmv1alpha1.APNSCertificate) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	result := &metav1.Table{}
	for _, column := range columns {
		result.ColumnDefinitions = append(result.ColumnDefinitions, column.TableColumnDefinition)
	}
	for i := range list.Items {
		row := metav1.TableRow{Object: runtime.RawExtension{Object: &list.Items[i]}}
		for _, column := range columns {
			row.Cells = append(row.Cells, cmp.Or(column.cell(t, &list.Items[i]), none))
		}
		result.Rows = append(result.Rows, row)
	}
	return result
}

func ready(c *mdmv1alpha1.APNSCertificate) string {
	condition := meta.FindStatusCondition(c.Status.Conditions, mdmv1alpha1.ConditionReady)
	if condition == nil {
		return string(metav1.ConditionUnknown)
	}
	return string(condition.Status)
}

// stands is the reason of the first step that failed, or else of the first one that waits.
func stands(c *mdmv1alpha1.APNSCertificate) string {
	first := ""
	for _, s := range steps {
		condition := meta.FindStatusCondition(c.Status.Conditions, s.condition)
		switch state := stateOf(condition); {
		case state == look.Wrong:
			return condition.Reason
		case state == look.Waits && first == "":
			first = mdmv1alpha1.ReasonPending
			if condition != nil {
				first = condition.Reason
			}
		}
	}
	return cmp.Or(first, "InUse")
}

func (t table) ends(c *mdmv1alpha1.APNSCertificate) string {
	if c.Status.NotAfter == nil {
		return ""
	}
	return c.Status.NotAfter.UTC().Format(time.DateOnly) + ", " + look.Days(c.Status.NotAfter.Sub(t.now))
}

func (t table) users(c *mdmv1alpha1.APNSCertificate) string {
	var names []string
	for _, server := range using(t.servers, c) {
		names = append(names, server.Name)
	}
	return strings.Join(names, ",")
}

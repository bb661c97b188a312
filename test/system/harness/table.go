package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// Resources are the kinds by the names that kubectl knows.
var Resources = []string{"mdmservers", "apnscertificates", "enrollmenttokens", "automatedenrollments", "devices", "profiles", "devicecommands"}

// PrintTable prints what "kubectl get RESOURCE" prints.
func (c *Cluster) PrintTable(ctx context.Context, out io.Writer, namespace, resource string) error {
	gv := mdmv1alpha1.GroupVersion
	b, err := c.Typed.Discovery().RESTClient().Get().AbsPath("apis", gv.Group, gv.Version, "namespaces", namespace, resource).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	if err != nil {
		return err
	}
	var table metav1.Table
	if err := json.Unmarshal(b, &table); err != nil {
		return fmt.Errorf("reading the table of %s: %w", resource, err)
	}
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	line := func(cell func(column int) any) {
		for i, column := range table.ColumnDefinitions {
			if column.Priority == 0 { // the others are for kubectl get --output=wide
				fmt.Fprintf(w, "%v\t", cell(i))
			}
		}
		fmt.Fprintln(w)
	}
	line(func(i int) any { return strings.ToUpper(table.ColumnDefinitions[i].Name) })
	for _, row := range table.Rows {
		line(func(i int) any {
			if row.Cells[i] == nil {
				return ""
			}
			return row.Cells[i]
		})
	}
	return w.Flush()
}

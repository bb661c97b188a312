package loop_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

func TestCollectorCountsConditionsWithoutNames(t *testing.T) {
	b := newBench(t, newToken())
	if _, err := b.run(loop.Spec{Steps: []loop.Step{step(published, nil)}, Ready: []string{published}}); err != nil {
		t.Fatal(err)
	}
	c := &loop.Collector{Reader: b.client, Scheme: b.client.Scheme(), Lists: []client.ObjectList{&mdmv1alpha1.EnrollmentTokenList{}}}
	want := `# HELP kubemdm_conditions Number of objects of a kind by condition type and status.
# TYPE kubemdm_conditions gauge
kubemdm_conditions{condition="Published",kind="EnrollmentToken",status="True"} 1
kubemdm_conditions{condition="Ready",kind="EnrollmentToken",status="True"} 1
kubemdm_conditions{condition="Usable",kind="EnrollmentToken",status="Unknown"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

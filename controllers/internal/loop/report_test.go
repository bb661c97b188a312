package loop_test

import (
	"context"
	"testing"

	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

func TestKeptConditionStaysAsItIs(t *testing.T) {
	b := newBench(t, newToken())
	keep := loop.Step{Condition: usable, Run: func(_ context.Context, r *loop.Report) error {
		r.Keep()
		return nil
	}}
	for _, c := range []struct {
		step loop.Step
		want string
	}{
		{keep, "Ready=True/Ready Published=True/Ready Usable=Unknown/Pending"},
		{step(usable, loop.Wait("Expired", 0, "over")), "Ready=True/Ready Published=True/Ready Usable=False/Expired"},
		{keep, "Ready=True/Ready Published=True/Ready Usable=False/Expired"},
	} {
		if _, err := b.run(loop.Spec{Steps: []loop.Step{step(published, nil), c.step}, Ready: []string{published}}); err != nil {
			t.Fatal(err)
		}
		if got := show(b.get()); got != c.want {
			t.Errorf("conditions\n got %s\nwant %s", got, c.want)
		}
	}
}

package harness

import (
	"bytes"
	"context"
	"testing"
	"time"
)

// Start connects to the cluster of KUBECONFIG and returns a walk for a test, in a namespace that is deleted when the test ends. A test that fails
// logs a diagnosis before.
func Start(t *testing.T, namespace string) *Walk {
	t.Helper()
	c, err := Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*Patience)
		defer cancel()
		if t.Failed() {
			diagnosis := &bytes.Buffer{}
			c.Diagnose(ctx, diagnosis, namespace)
			t.Log(diagnosis)
		}
		if err := c.DeleteNamespace(ctx, namespace); err != nil {
			t.Error(err)
		}
	})
	return &Walk{Cluster: c, Namespace: namespace}
}

// Take takes steps as subtests and stops at the first that fails.
func Take(t *testing.T, steps ...Step) {
	t.Helper()
	for _, step := range steps {
		start := time.Now()
		if !t.Run(step.Title, func(t *testing.T) {
			if err := step.Do(t.Context()); err != nil {
				t.Fatal(err)
			}
		}) {
			t.FailNow()
		}
		t.Logf("%s, after %.1f s", step.Title, time.Since(start).Seconds())
	}
}

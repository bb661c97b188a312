// Package gitops tests the example repository of docs/examples/gitops without a cluster. What kstatus and Argo CD make of objects is tested next to the
// engine that writes their conditions, in controllers/internal/loop; how they are applied in test/integration/gitops.
package gitops

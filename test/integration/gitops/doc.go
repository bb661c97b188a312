// Package gitops applies what people have in Git on a real API server, as Argo CD and Flux do, while a manager looks after the objects.
package gitops

// Package scale runs the operator with a fleet of any size: a real API server and etcd, the real protocol server and a manager that are processes of their own, and
// as many enrolled devices as are asked for. It prints what each step cost: `make bench-scale`.
package scale

// Package apple renders a Profile into the configuration profile that Apple devices get, as an unsigned template. It is pure: the same Profile and the
// same values give the same bytes on every cluster, whatever the Kubernetes UIDs are, so that nothing is installed twice.
package apple

// Package docs runs the commands of the documentation with the real kubectl and the real plugin on a real API server, page by page and in their order. No
// controller runs there: testdata/fleet.yaml is what they would have made.
package docs

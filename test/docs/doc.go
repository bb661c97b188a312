// Package docs holds the tests of the documentation that need no API server: what it links to and what it names exists. Its examples are applied in
// test/integration/api.
package docs

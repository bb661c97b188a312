// Package webhooks tells people of a fault when they apply an object, in the words of internal/validate. Controllers run the same checks, so nothing
// depends on a webhook being reachable; for that reason an unreachable one is ignored by the API server.
package webhooks

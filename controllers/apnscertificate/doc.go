// Package apnscertificate judges the push certificate that an APNSCertificate names.
package apnscertificate

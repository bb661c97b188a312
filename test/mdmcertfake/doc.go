// Package mdmcertfake is a strict stand-in for mdmcert.download: it signs requests as an MDM vendor of test/applepki and keeps the mails that it
// would send. It knows the protocol from its clients (see internal/mdmcert) and shares no code with them.
package mdmcertfake

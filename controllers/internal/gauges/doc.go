// Package gauges tells at each scrape what objects say in their status: one collector for all kinds, and one file of gauges per kind.
//
// No label ever holds an identifier of a device. The kinds of which an organisation has few (servers, certificates, Profiles) are told by name; Devices,
// DeviceCommands and EnrollmentTokens are only counted, since the name of a Device may hold its serial number.
package gauges

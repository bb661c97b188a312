// Package managed is a fleet under management for tests: the reconcilers of Devices, Profiles and DeviceCommands, which tests call, over a real
// fleet in SQLite behind its real internal API, and devices that speak to that fleet.
package managed

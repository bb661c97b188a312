// Package fleet tests the controllers of Devices, Profiles and DeviceCommands on the real API server, for what a fake one does not do: owners of
// fields, and schemas that refuse what a device says of itself.
package fleet

// Package windows renders Profiles and DeviceCommands for Windows devices into commands of their management protocol (OMA-DM 1.2, MS-MDM). Nothing in
// it does I/O, and no error of it repeats a value.
package windows

// Package machineinfo reads what a device says of itself in Setup Assistant before it enrols: a property list, signed with a certificate that Apple
// gave to the device (apple/device-management, "MachineInfo").
package machineinfo

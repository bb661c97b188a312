// Package devicecommand hands DeviceCommands to their server and brings back what became of them.
package devicecommand

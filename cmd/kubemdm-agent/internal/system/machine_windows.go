package system

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/smbios"
	"github.com/kubemdm/kubemdm/internal/agentapi"
)

// providerSMBIOS is 'RSMB', the firmware tables of the SMBIOS.
const providerSMBIOS = 'R'<<24 | 'S'<<16 | 'M'<<8 | 'B'

var procFirmwareTable = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemFirmwareTable")

// Machine is what names this machine. One whose firmware has no UUID is named by the GUID that Windows got when it was installed.
func (Windows) Machine() (agentapi.EnrollRequest, error) {
	machine := agentapi.EnrollRequest{Platform: agentapi.PlatformWindows}
	var err error
	if machine.Hostname, err = os.Hostname(); err != nil {
		return machine, fmt.Errorf("reading the host name: %w", err)
	}
	if machine.ComputerName, err = windows.ComputerName(); err != nil {
		return machine, fmt.Errorf("reading the computer name: %w", err)
	}
	// A machine without these tables, or with others than the standard has, is a machine all the same.
	if tables, err := firmwareTables(); err == nil {
		system, _ := smbios.Parse(tables)
		machine.HardwareUUID, machine.HardwareSerial, machine.HardwareModel = system.UUID, system.Serial, system.Product
	}
	if machine.HardwareUUID == "" {
		machine.HardwareUUID, err = localMachine(`SOFTWARE\Microsoft\Cryptography`, "MachineGuid")
	}
	return machine, err
}

func firmwareTables() ([]byte, error) {
	size, _, err := procFirmwareTable.Call(providerSMBIOS, 0, 0, 0)
	if size == 0 {
		return nil, err
	}
	tables := make([]byte, size)
	written, _, err := procFirmwareTable.Call(providerSMBIOS, 0, uintptr(unsafe.Pointer(&tables[0])), size)
	if written == 0 || written > size {
		return nil, err
	}
	return tables[:written], nil
}

package command

import (
	"errors"
	"fmt"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/xmlplist"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	errUnlockToken = errors.New("the device has given no unlock token, so its passcode cannot be cleared")
	errRawCommand  = errors.New("the raw command is not a dictionary with a RequestType")
)

// arguments are the keys of a command besides RequestType, by request type (apple/device-management, mdm/commands).
var arguments = map[string]func(fleet.ActionDelivery) (dict, error){
	adminapi.AppleRestartDevice:            none,
	adminapi.AppleShutDownDevice:           none,
	adminapi.AppleInstalledApplicationList: none,
	adminapi.AppleProfileList:              none,
	adminapi.AppleCertificateList:          none,
	adminapi.AppleSecurityInfo:             none,
	adminapi.AppleDeviceInformation:        deviceInformation,
	adminapi.AppleDeviceLock:               deviceLock,
	adminapi.AppleEraseDevice:              eraseDevice,
	adminapi.AppleClearPasscode:            clearPasscode,
	adminapi.AppleInstallApplication:       installApplication,
	adminapi.AppleInstallEnterpriseApp:     installApplication,
	adminapi.AppleRaw:                      raw,
}

// defaultQueries are asked when a DeviceInformation command names none: what every platform answers and status shows, and what people
// ask for first.
var defaultQueries = []string{
	"UDID", "SerialNumber", "DeviceName", "Model", "ModelName", "ProductName", "OSVersion", "BuildVersion",
	"DeviceCapacity", "AvailableDeviceCapacity", "BatteryLevel", "IsSupervised", "WiFiMAC",
}

func action(a fleet.ActionDelivery) (dict, error) {
	of, known := arguments[a.Command.RequestType]
	if !known {
		return nil, fmt.Errorf("the request type %q is unknown", a.Command.RequestType)
	}
	command, err := of(a)
	if err != nil {
		return nil, err
	}
	if a.Command.RequestType != adminapi.AppleRaw {
		command["RequestType"] = a.Command.RequestType
	}
	return command, nil
}

func none(fleet.ActionDelivery) (dict, error) { return dict{}, nil }

func deviceInformation(a fleet.ActionDelivery) (dict, error) {
	queries := a.Command.Queries
	if len(queries) == 0 {
		queries = defaultQueries
	}
	return dict{"Queries": queries}, nil
}

func deviceLock(a fleet.ActionDelivery) (dict, error) {
	d := dict{}
	put(d, "PIN", a.PIN)
	put(d, "Message", a.Command.Message)
	put(d, "PhoneNumber", a.Command.PhoneNumber)
	return d, nil
}

func eraseDevice(a fleet.ActionDelivery) (dict, error) {
	d := dict{}
	put(d, "PIN", a.PIN)
	put(d, "PreserveDataPlan", a.Command.PreserveDataPlan)
	put(d, "DisallowProximitySetup", a.Command.DisallowProximitySetup)
	put(d, "ObliterationBehavior", a.Command.ObliterationBehavior)
	return d, nil
}

func clearPasscode(a fleet.ActionDelivery) (dict, error) {
	if len(a.UnlockToken) == 0 {
		return nil, errUnlockToken
	}
	return dict{"UnlockToken": a.UnlockToken}, nil
}

func installApplication(a fleet.ActionDelivery) (dict, error) {
	d := dict{"ManifestURL": a.Command.ManifestURL}
	put(d, "ManagementFlags", a.Command.ManagementFlags)
	return d, nil
}

// raw takes the dictionary as it is; only the CommandUUID around it is ours.
func raw(a fleet.ActionDelivery) (dict, error) {
	var command map[string]any
	if err := xmlplist.Unmarshal(a.Command.Raw, &command); err != nil {
		return nil, fmt.Errorf("%w: %w", errRawCommand, err)
	}
	if requestType, _ := command["RequestType"].(string); requestType == "" {
		return nil, errRawCommand
	}
	return command, nil
}

// put sets a key that has a value; devices take an absent key for its default.
func put[T comparable](d dict, key string, value T) {
	var zero T
	if value != zero {
		d[key] = value
	}
}

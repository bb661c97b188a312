package command

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// variable matches $(device.NAME). Any other $(...) is the profile's own text, a shell script's for example, and stays as it is.
var variable = regexp.MustCompile(`\$\(device\.(\w*)\)`)

// variables are what a profile may say of the device that it is delivered to:
//
//	$(device.serialNumber)  the serial number
//	$(device.udid)          the UDID
//	$(device.name)          the name that people gave the device
//	$(device.model)         the model identifier
//
// The value is escaped for XML text. A name that is not in this list is an error, and so is a value that the device has not told: a
// profile with a hole in it is worse than one that is not installed.
var variables = map[string]func(adminapi.Device) string{
	"serialNumber": func(d adminapi.Device) string { return d.SerialNumber },
	"udid":         func(d adminapi.Device) string { return d.UDID },
	"name":         func(d adminapi.Device) string { return d.DeviceName },
	"model":        func(d adminapi.Device) string { return d.Model },
}

func substitute(template []byte, device adminapi.Device) ([]byte, error) {
	var failure error
	out := variable.ReplaceAllFunc(template, func(match []byte) []byte {
		value, err := lookUp(string(variable.FindSubmatch(match)[1]), device)
		if err != nil {
			failure = err
			return nil
		}
		return value
	})
	return out, failure
}

func lookUp(name string, device adminapi.Device) ([]byte, error) {
	of, known := variables[name]
	if !known {
		return nil, fmt.Errorf("the profile uses the unknown variable $(device.%s)", name)
	}
	value := of(device)
	if value == "" {
		return nil, fmt.Errorf("the profile uses $(device.%s), which this device has not told", name)
	}
	var escaped bytes.Buffer
	if err := xml.EscapeText(&escaped, []byte(value)); err != nil {
		return nil, fmt.Errorf("substituting $(device.%s): %w", name, err)
	}
	return escaped.Bytes(), nil
}

package devicesim

import (
	"cmp"
	"context"
	"crypto/x509"
	"maps"
	"path"
	"slices"
)

// deviceInformation answers the queries that the device knows and leaves the others out, as devices do.
func (c *Channel) deviceInformation(_ context.Context, cmd *command) result {
	known := c.facts()
	responses := map[string]any{}
	for _, query := range cmd.Command.Queries {
		if value, ok := known[query]; ok {
			responses[query] = value
		}
	}
	return acknowledged(map[string]any{"QueryResponses": responses})
}

func (c *Channel) facts() map[string]any {
	h, automated := c.device.Hardware(), c.device.SetupProfile() != nil
	facts := map[string]any{
		"DeviceName": h.DeviceName, "Model": h.Model, "ModelName": h.ModelName, "ProductName": h.ProductName,
		"OSVersion": h.OSVersion, "BuildVersion": h.BuildVersion,
		"DeviceCapacity": 494.4, "AvailableDeviceCapacity": 301.7, "BatteryLevel": 0.8,
		"IsSupervised": automated || h.Kind == KindMac && !c.device.opts.UserEnrollment, "IsActivationLockEnabled": false,
		"AwaitingConfiguration": automated && !c.device.Configured(),
	}
	if !c.device.opts.UserEnrollment {
		facts["UDID"], facts["SerialNumber"] = h.UDID, h.SerialNumber
	}
	if h.Kind == KindMac {
		facts["HostName"], facts["IsAppleSilicon"] = h.DeviceName, true
	}
	return facts
}

func (c *Channel) securityInfo(context.Context, *command) result {
	info := map[string]any{
		"ManagementStatus": map[string]any{
			"EnrolledViaDEP":          c.device.SetupProfile() != nil,
			"IsUserEnrollment":        c.device.opts.UserEnrollment,
			"UserApprovedEnrollment":  true,
			"IsActivationLockManaged": false,
		},
	}
	if c.device.opts.Kind == KindMac {
		info["FDE_Enabled"], info["SystemIntegrityProtectionEnabled"] = true, true
		info["FirewallSettings"] = map[string]any{"FirewallEnabled": true, "BlockAllIncoming": false, "StealthMode": false}
	} else {
		info["HardwareEncryptionCaps"], info["PasscodePresent"], info["PasscodeCompliant"] = 3, true, true
	}
	return acknowledged(map[string]any{"SecurityInfo": info})
}

func (c *Channel) profileList(context.Context, *command) result {
	e, err := c.device.current()
	fixed := err == nil && e.fixed()
	list := []map[string]any{}
	for _, p := range c.sorted() {
		payloads := []map[string]any{}
		for _, payload := range p.Payloads {
			payloads = append(payloads, map[string]any{
				"PayloadType": payload.Type, "PayloadIdentifier": payload.Identifier, "PayloadUUID": payload.UUID, "PayloadVersion": 1,
			})
		}
		signers := [][]byte{}
		if p.Signer != nil {
			signers = append(signers, p.Signer.Raw)
		}
		list = append(list, map[string]any{
			"PayloadIdentifier": p.Identifier, "PayloadUUID": p.UUID, "PayloadVersion": 1, "PayloadDisplayName": p.DisplayName,
			"PayloadDescription": p.Description, "PayloadOrganization": p.Organization, "PayloadContent": payloads,
			"PayloadRemovalDisallowed": fixed && p.isEnrollment(), "HasRemovalPasscode": false, "IsEncrypted": false, "IsManaged": true,
			"SignerCertificates": signers,
		})
	}
	return acknowledged(map[string]any{"ProfileList": list})
}

// sorted returns the installed profiles by identifier.
func (c *Channel) sorted() []InstalledProfile {
	return slices.SortedFunc(maps.Values(c.Profiles()), func(a, b InstalledProfile) int {
		return cmp.Compare(a.Identifier, b.Identifier)
	})
}

func (c *Channel) certificateList(context.Context, *command) result {
	list := []map[string]any{}
	add := func(certificate *x509.Certificate, isIdentity bool) {
		list = append(list, map[string]any{
			"CommonName": certificate.Subject.CommonName, "Data": certificate.Raw, "IsIdentity": isIdentity,
		})
	}
	if e, err := c.device.current(); err == nil && c.user == nil {
		add(e.identity.Certificate, true)
	}
	for _, p := range c.sorted() {
		anchors, err := p.Anchors()
		if err != nil {
			continue // a certificate that the device could not read is not one it has
		}
		for _, anchor := range anchors {
			add(anchor, false)
		}
	}
	return acknowledged(map[string]any{"CertificateList": list})
}

func (c *Channel) applicationList(context.Context, *command) result {
	list := []map[string]any{{
		"Identifier": "com.apple.Safari", "Name": "Safari", "ShortVersion": "26.1", "Version": "21622.2.11", "BundleSize": 13_500_000,
	}}
	for _, app := range c.device.Apps() {
		list = append(list, map[string]any{"Identifier": "manifest." + path.Base(app.ManifestURL), "Name": path.Base(app.ManifestURL)})
	}
	return acknowledged(map[string]any{"InstalledApplicationList": list})
}

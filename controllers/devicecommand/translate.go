package devicecommand

import (
	"context"
	"errors"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/source"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
)

// translate says what an action is on each platform, or why there is no such action.
func (r *Reconciler) translate(ctx context.Context, c *mdmv1alpha1.DeviceCommand, into *adminapi.Action, report *loop.Report) error {
	a := &c.Spec.Action
	into.Unsupported = map[adminapi.Platform]string{}
	if reason := appleLacks(a); reason != "" {
		into.Unsupported[adminapi.PlatformApple] = reason
	} else {
		into.Apple = appleCommand(*a)
	}
	if reason := windows.Unsupported(a); reason != "" {
		into.Unsupported[adminapi.PlatformWindows] = reason
		return nil
	}
	sources, err := source.Read(ctx, r.Client, c.Namespace, windows.CommandReferences(a))
	if err != nil {
		return err
	}
	into.Windows, err = windows.Command(a, sources)
	var invalid *content.Error
	if errors.As(err, &invalid) {
		report.Again(conflictAgain)
		return loop.Stall(mdmv1alpha1.DeviceCommandUnreadable, "%s", invalid)
	}
	return err
}

// appleLacks says why Apple devices cannot do an action; empty: they can.
func appleLacks(a *mdmv1alpha1.CommandAction) string {
	switch a.Type {
	case mdmv1alpha1.ActionInstallMSI:
		return "Apple devices install packages with type InstallApplication"
	case mdmv1alpha1.ActionInstallCertificate:
		return "Apple devices trust a certificate by a Profile, with a payload such as com.apple.security.root"
	case mdmv1alpha1.ActionRaw:
		if a.Raw.Plist == "" {
			return "the command has no raw.plist, which Apple devices need"
		}
	}
	return ""
}

// requestTypes are Apple's names of the actions. InstallApplication has two.
var requestTypes = map[mdmv1alpha1.ActionType]string{
	mdmv1alpha1.ActionDeviceInformation:     adminapi.AppleDeviceInformation,
	mdmv1alpha1.ActionRestart:               adminapi.AppleRestartDevice,
	mdmv1alpha1.ActionShutDown:              adminapi.AppleShutDownDevice,
	mdmv1alpha1.ActionLock:                  adminapi.AppleDeviceLock,
	mdmv1alpha1.ActionWipe:                  adminapi.AppleEraseDevice,
	mdmv1alpha1.ActionClearPasscode:         adminapi.AppleClearPasscode,
	mdmv1alpha1.ActionInstalledApplications: adminapi.AppleInstalledApplicationList,
	mdmv1alpha1.ActionProfileList:           adminapi.AppleProfileList,
	mdmv1alpha1.ActionCertificateList:       adminapi.AppleCertificateList,
	mdmv1alpha1.ActionSecurityInfo:          adminapi.AppleSecurityInfo,
	mdmv1alpha1.ActionInstallApplication:    adminapi.AppleInstallApplication,
	mdmv1alpha1.ActionUnenroll:              adminapi.AppleUnenroll,
	mdmv1alpha1.ActionRaw:                   adminapi.AppleRaw,
}

// appleCommand says the action in terms of Apple's protocol.
func appleCommand(a mdmv1alpha1.CommandAction) *adminapi.AppleCommand {
	command := &adminapi.AppleCommand{RequestType: requestTypes[a.Type], GeneratePIN: withPIN(a)}
	if a.DeviceInformation != nil {
		command.Queries = a.DeviceInformation.Queries
	}
	if a.Lock != nil {
		command.Message, command.PhoneNumber = a.Lock.Message, a.Lock.PhoneNumber
	}
	if a.Wipe != nil {
		command.PreserveDataPlan = a.Wipe.DataPlan == mdmv1alpha1.DataPlanPreserve
		command.ObliterationBehavior = string(a.Wipe.ObliterationBehavior)
	}
	if a.InstallApplication != nil {
		command.ManifestURL = a.InstallApplication.ManifestURL
		if a.InstallApplication.Kind == mdmv1alpha1.ApplicationEnterprise {
			command.RequestType = adminapi.AppleInstallEnterpriseApp
		}
	}
	if a.Raw != nil {
		command.Raw = []byte(a.Raw.Plist)
	}
	return command
}

// withPIN says whether the server makes PINs for the action: unless told not to, for whatever takes one.
func withPIN(a mdmv1alpha1.CommandAction) bool {
	switch a.Type {
	case mdmv1alpha1.ActionLock:
		return a.Lock == nil || a.Lock.PIN != mdmv1alpha1.PINNone
	case mdmv1alpha1.ActionWipe:
		return a.Wipe != nil && a.Wipe.PIN != mdmv1alpha1.PINNone
	}
	return false
}

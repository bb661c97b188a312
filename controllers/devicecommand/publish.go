package devicecommand

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// conflictAgain is how often a name is tried again that another command holds at the server.
const conflictAgain = 30 * time.Second

// publish hands the command to the server, which keeps the first list of targets that it gets.
func (r *Reconciler) publish(ctx context.Context, s *scope, report *loop.Report) error {
	if s.refused != nil {
		report.False(s.refused.reason, "nothing was sent")
		return nil
	}
	if s.action != nil {
		return nil
	}
	status, err := s.server.PutAction(ctx, adminapi.Action{
		Key: s.key, SpecHash: specHash(s.command), Deadline: deadline(s.command).UTC(), Targets: s.targets, Apple: appleCommand(s.command.Spec.Action),
	})
	if adminapi.CodeOf(err) == adminapi.CodeSpecConflict {
		return loop.Wait(mdmv1alpha1.DeviceCommandSpecConflict, conflictAgain,
			"an earlier command of this name and with another spec still runs at the server: wait for it, or use another name")
	}
	s.action = status
	return link.Halt(err)
}

// cancel closes what was not delivered of a command that goes before it has finished.
func (r *Reconciler) cancel(ctx context.Context, s *scope, report *loop.Report) error {
	r.Pace.Restart(s.name())
	if s.command.Status.FinishedAt != nil {
		return nil
	}
	server, err := r.Links.Find(ctx, r.Client, s.command.Namespace, s.command.Spec.ServerRef.Name)
	if errors.Is(err, link.ErrNotFound) {
		report.False(mdmv1alpha1.ReasonServerNotFound, "the MDMServer is gone: there is nobody to cancel the command at")
		return nil
	}
	if err != nil {
		return link.Halt(err)
	}
	s.connect(server)
	if action, known := server.Action(s.key); !known || action.SpecHash != specHash(s.command) {
		return nil
	}
	return link.Halt(server.Client().CancelAction(ctx, s.key))
}

// specHash is the hash of what the command is about. Deadline and time to live are not part of it: a command that is applied anew is the same one.
func specHash(c *mdmv1alpha1.DeviceCommand) string {
	b, _ := json.Marshal(struct { // such types always marshal
		Target mdmv1alpha1.CommandTarget
		Action mdmv1alpha1.CommandAction
	}{c.Spec.Target, c.Spec.Action})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
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

package act

import (
	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// how is what all verbs have in common.
const how = `Each device that is named gets a DeviceCommand of its own; with --selector one DeviceCommand asks all that are selected, after a question. It waits until
the devices have answered, and shows what they did; a device that sleeps may take until the deadline. The exit code is 1 if a device failed, or has not
answered in time.`

var verbs = []verb{
	{
		name: "lock", action: mdmv1alpha1.ActionLock, does: "lock", role: "helpdesk",
		short: "Lock Macs, iPhones and iPads",
		long: `Lock Macs, iPhones and iPads.

A Mac restarts and asks for a PIN of six digits that the server makes, one for each: "kubectl mdm pin" shows it to who may know it. A PC cannot be locked.

` + how,
		example: `  # A Mac that was lost
  kubectl mdm lock ana-macbook --message "This Mac is lost. Please call us." --phone "+41 31 000 00 00"

  # The PIN that unlocks it
  kubectl mdm pin --device ana-macbook`,
		flags: (*act).lockFlags,
	},
	{
		name: "restart", action: mdmv1alpha1.ActionRestart, does: "restart", role: "helpdesk",
		short: "Restart devices",
		long:  "Restart devices. One that goes down without an answer counts as restarted.\n\n" + how,
		example: `  # One device, and two more
  kubectl mdm restart ana-macbook
  kubectl mdm restart ben-thinkpad carla-mac

  # All of a team, within two hours or not at all
  kubectl mdm restart -l example.com/team=design --deadline 2h`,
	},
	{
		name: "shutdown", action: mdmv1alpha1.ActionShutDown, does: "switch off", role: "helpdesk",
		short: "Switch devices off",
		long:  "Switch devices off. Somebody has to switch them on again.\n\n" + how,
		example: `  # One device
  kubectl mdm shutdown ana-macbook

  # Without waiting for the answer
  kubectl mdm shutdown ana-macbook --wait=false`,
	},
	{
		name: "wipe", action: mdmv1alpha1.ActionWipe, does: "erase", role: "admin", one: true,
		short: "Erase one device",
		long: `Erase one device. This cannot be undone.

It names one device, and repeats its serial number and the id of its present enrolment, so that it can hit no other device and no later owner. You are asked to
type the serial number; in a script, --serial with --yes takes the place of that. No selector is taken.`,
		example: `  # Asks for the serial number
  kubectl mdm wipe ana-macbook

  # In a script that knows it
  kubectl mdm wipe ana-macbook --serial C02XK1ABJGH5 --yes`,
		flags: (*act).wipeFlags,
	},
	{
		name: "unenroll", action: mdmv1alpha1.ActionUnenroll, does: "end the enrolment of", role: "editor", named: true, asks: true,
		short: "End the enrolment of devices",
		long: `End the enrolment of devices. They forget the server and what it installed, and keep all else. Only somebody at the device can enrol it again.

Each device is named, since no selector should take a fleet away; each gets a DeviceCommand of its own. The exit code is 1 if a device failed, or has not answered in
time.`,
		example: `  # Asks before it does
  kubectl mdm unenroll ana-macbook

  # Two, without a question
  kubectl mdm unenroll ana-macbook ben-thinkpad --yes`,
	},
}

func (a *act) lockFlags(c *cobra.Command) {
	c.Flags().StringVar(&a.lock.Message, "message", "", "what stands on the lock screen")
	c.Flags().StringVar(&a.lock.PhoneNumber, "phone", "", "the phone number on the lock screen")
	a.pinFlag(c, &a.lock.PIN)
}

func (a *act) pinFlag(c *cobra.Command, pin *mdmv1alpha1.PINPolicy) {
	enumFlag(c, (*string)(pin), "pin", "the PIN of a Mac: Generate makes one, None sends none (absent: Generate)",
		string(mdmv1alpha1.PINGenerate), string(mdmv1alpha1.PINNone))
}

func (a *act) wipeFlags(c *cobra.Command) {
	c.Flags().StringVar(&a.serial, "serial", "", "the serial number of the device, as you know it; with --yes nobody is asked")
	a.pinFlag(c, &a.wipe.PIN)
	enumFlag(c, (*string)(&a.wipe.Method), "method", "how a PC erases itself (absent: Standard)",
		string(mdmv1alpha1.WipeStandard), string(mdmv1alpha1.WipeProtected), string(mdmv1alpha1.WipeKeepProvisionedData), string(mdmv1alpha1.WipeKeepUserData),
		string(mdmv1alpha1.WipeCloud), string(mdmv1alpha1.WipeCloudKeepProvisionedData), string(mdmv1alpha1.WipeCloudKeepUserData))
	enumFlag(c, (*string)(&a.wipe.DataPlan), "data-plan", "what becomes of an eSIM (absent: Erase)",
		string(mdmv1alpha1.DataPlanErase), string(mdmv1alpha1.DataPlanPreserve))
	enumFlag(c, (*string)(&a.wipe.ObliterationBehavior), "obliteration", "what a Mac does that cannot erase all content and settings (absent: Default)",
		string(mdmv1alpha1.ObliterationDefault), string(mdmv1alpha1.ObliterationDoNotObliterate), string(mdmv1alpha1.ObliterationWithWarning),
		string(mdmv1alpha1.ObliterationAlways))
}

// enumFlag is a flag that a shell completes. The API server refuses other values, and says which there are.
func enumFlag(c *cobra.Command, into *string, name, usage string, values ...string) {
	c.Flags().StringVar(into, name, "", usage)
	utilruntime.Must(c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

package act

import (
	"errors"
	"fmt"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// confirmWipe shows which device will be erased, has a person type its serial number, and repeats it and the present enrolment in the command.
func (a *act) confirmWipe(d *mdmv1alpha1.Device) error {
	if !doing.Enrolled(d) {
		return fmt.Errorf("%s is not enrolled (%s), so that nothing can erase it from here", d.Name, look.Enrolment(d))
	}
	serial := ""
	if d.Status.Hardware != nil {
		serial = d.Status.Hardware.SerialNumber
	}
	switch {
	case serial == "":
		return fmt.Errorf("%s tells no serial number, and a wipe must repeat it: erase it by hand", d.Name)
	case a.yes && a.serial == "":
		return errors.New("--yes is not enough for a wipe: say --serial with the serial number of the device, too")
	case a.serial != "" && a.serial != serial:
		return a.mismatch(d, "--serial is not the serial number of "+d.Name)
	}
	if !a.yes {
		if err := a.askSerial(d, serial); err != nil {
			return err
		}
	}
	a.wipe.SerialNumber, a.wipe.EnrollmentID = serial, d.Status.Enrollment.ID
	return nil
}

func (a *act) mismatch(d *mdmv1alpha1.Device, what string) error {
	return fmt.Errorf("%s: nothing was sent; kubectl get device %s --output wide shows what the device is", what, d.Name)
}

func (a *act) askSerial(d *mdmv1alpha1.Device, serial string) error {
	model := d.Status.Hardware.ModelName
	if model == "" {
		model = string(d.Status.Platform)
	}
	since := ""
	if d.Status.Enrollment.Since != nil {
		since = ", enrolled since " + look.Date(d.Status.Enrollment.Since.Time)
	}
	typed, err := doing.Ask(a.env, fmt.Sprintf("This erases all that is on %s (%s, %q, serial number %s%s). It cannot be undone.\nType the serial number to go on: ",
		d.Name, model, d.Status.DeviceName, serial, since))
	if err != nil {
		return err
	}
	if typed != serial {
		return a.mismatch(d, "that is not the serial number of "+d.Name)
	}
	return nil
}

package validate

import (
	"errors"
	"fmt"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

// saferWays are the request types that a raw command may not have, with what to use instead.
var saferWays = map[string]string{
	"EraseDevice":    "use type Wipe, which confirms the one enrolment it is for",
	"InstallProfile": "use a Profile, which is also taken away again",
	"RemoveProfile":  "delete the Profile that installed it; type Unenroll ends an enrolment",
}

// DeviceCommand checks the target's selector, that a raw command is one that devices understand and that has no safer way, and what else is written
// into the action itself.
func DeviceCommand(c *v1alpha1.DeviceCommand) field.ErrorList {
	spec := field.NewPath("spec")
	errs := metav1validation.ValidateLabelSelector(
		c.Spec.Target.Selector, metav1validation.LabelSelectorValidationOptions{}, spec.Child("target", "selector"))
	action := spec.Child("action")
	if raw := c.Spec.Action.Raw; raw != nil && raw.Plist != "" {
		if err := rawCommand(raw.Plist); err != nil {
			errs = append(errs, field.Invalid(action.Child("raw", "plist"), field.OmitValueType{}, err.Error()))
		}
	}
	return append(errs, faults(windows.ValidateCommand(&c.Spec.Action), action)...)
}

func rawCommand(text string) error {
	var command struct {
		RequestType string
		Command     map[string]any
	}
	if err := xmlplist.Unmarshal([]byte(text), &command); err != nil {
		return fmt.Errorf("it cannot be read as an XML property list: %w", err)
	}
	if command.RequestType == "" {
		if command.Command != nil {
			return errors.New("give the Command dictionary alone: the server adds CommandUUID and what is around it")
		}
		return errors.New("it is no dictionary with a RequestType")
	}
	if instead, found := saferWays[command.RequestType]; found {
		return fmt.Errorf("RequestType %s is not allowed: %s", command.RequestType, instead)
	}
	return nil
}

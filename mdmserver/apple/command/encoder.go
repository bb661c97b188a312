package command

import (
	"errors"
	"fmt"

	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// Encoder implements fleet.Encoder for Apple devices.
type Encoder struct {
	// Sign returns a profile with a CMS signature around it.
	Sign func(profile []byte) ([]byte, error)
	// Renew returns the signed enrolment profile of a live enrolment with a fresh challenge.
	Renew func(enrollmentID string, r fleet.Renewal) ([]byte, error)
}

// dict is a property list dictionary. It is encoded with its keys in order.
type dict map[string]any

var errNothing = errors.New("the delivery holds nothing to send")

// Encode returns the command as an XML plist with the delivery's CommandUUID. An error is final for the delivery and its text is shown
// to people: it names no secret.
func (e Encoder) Encode(d fleet.Delivery) ([]byte, error) {
	command, err := e.command(d)
	if err != nil {
		return nil, err
	}
	out, err := plist.MarshalIndent(dict{"CommandUUID": d.CommandUUID, "Command": command}, "\t")
	if err != nil {
		return nil, fmt.Errorf("encoding the command: %w", err)
	}
	return out, nil
}

func (e Encoder) command(d fleet.Delivery) (dict, error) {
	switch {
	case d.Install != nil:
		return e.install(d)
	case d.Remove != nil:
		return dict{"RequestType": "RemoveProfile", "Identifier": d.Remove.Identifier}, nil
	case d.Action != nil:
		return action(*d.Action)
	case d.Renewal != nil:
		profile, err := e.Renew(d.Device.EnrollmentID, *d.Renewal)
		return installProfile(profile), err
	case d.Configured != nil:
		return dict{"RequestType": "DeviceConfigured"}, nil
	}
	return nil, errNothing
}

func (e Encoder) install(d fleet.Delivery) (dict, error) {
	profile, err := substitute(d.Install.Template, d.Device)
	if err != nil {
		return nil, err
	}
	if d.Install.Sign {
		if profile, err = e.Sign(profile); err != nil {
			return nil, err
		}
	}
	return installProfile(profile), nil
}

func installProfile(profile []byte) dict {
	return dict{"RequestType": "InstallProfile", "Payload": profile}
}

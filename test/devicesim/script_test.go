package devicesim_test

import (
	"errors"
	"testing"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

func TestScript(t *testing.T) {
	for name, test := range map[string]struct {
		rule      devicesim.Rule
		heard     string // in a first connection, then in a second
		installed int
		err       error
	}{
		"NotNow once": {
			devicesim.Rule{Times: 1, Do: devicesim.AnswerNotNow}, "Idle NotNow Idle Acknowledged", 1, nil,
		},
		"NotNow by identifier": {
			devicesim.Rule{Identifier: "dock", Do: devicesim.AnswerNotNow}, "Idle NotNow Idle NotNow", 0, nil,
		},
		"another identifier": {
			devicesim.Rule{Identifier: "wifi", Do: devicesim.AnswerNotNow}, "Idle Acknowledged Idle", 1, nil,
		},
		"another command": {
			devicesim.Rule{RequestType: "RestartDevice", Do: devicesim.AnswerError}, "Idle Acknowledged Idle", 1, nil,
		},
		"Error": {
			devicesim.Rule{RequestType: "InstallProfile", Do: devicesim.AnswerError}, "Idle Error Idle", 0, nil,
		},
		"CommandFormatError": {
			devicesim.Rule{Do: devicesim.AnswerFormatError}, "Idle CommandFormatError Idle", 0, nil,
		},
		"answered twice": {
			devicesim.Rule{Do: devicesim.AnswerTwice}, "Idle Acknowledged Acknowledged Idle", 1, nil,
		},
		"reply missed": {
			devicesim.Rule{Do: devicesim.MissReply}, "Idle Acknowledged Idle", 1, devicesim.ErrInterrupted,
		},
		"crash after running": {
			devicesim.Rule{Times: 1, Do: devicesim.Crash}, "Idle Idle Acknowledged", 2, devicesim.ErrInterrupted,
		},
		"ignored": {
			devicesim.Rule{Do: devicesim.Ignore}, "Idle Idle", 0, devicesim.ErrInterrupted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			mac := enrolled(t, s, nil)
			s.enqueue(mac.Hardware().UDID, "InstallProfile", map[string]any{"Payload": mobileconfig("dock")})
			mac.Script(test.rule)
			if err := mac.Idle(t.Context()); !errors.Is(err, test.err) {
				t.Errorf("first connection: %v", err)
			}
			if err := mac.Idle(t.Context()); err != nil && !errors.Is(err, test.err) {
				t.Errorf("second connection: %v", err)
			}
			if heard := s.hears(); heard != test.heard {
				t.Errorf("heard %q, want %q", heard, test.heard)
			}
			if installs := mac.Profiles()["dock"].Installs; installs != test.installed {
				t.Errorf("installed %d times, want %d", installs, test.installed)
			}
		})
	}
}

func TestAnswersAreKept(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	mac.Script(devicesim.Rule{RequestType: "RestartDevice", Do: devicesim.AnswerError})
	run(t, s, mac, "InstallProfile", map[string]any{"Payload": mobileconfig("dock")})
	run(t, s, mac, "RestartDevice", nil)
	mac.ClearScript()
	run(t, s, mac, "RestartDevice", nil)
	answers := mac.Answers()
	if len(answers) != 3 || answers[0].Identifier != "dock" || answers[1].Status != "Error" || answers[2].Status != "Acknowledged" || mac.Restarts() != 1 {
		t.Errorf("answers: %+v", answers)
	}
}

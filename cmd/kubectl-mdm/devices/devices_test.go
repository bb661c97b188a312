package devices_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/devices"
	lt "github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/test/golden"
)

func fleet() []client.Object {
	anna := lt.Device("macbook-anna", "C02XK1ABJG5H", mdmv1alpha1.PlatformApple)
	anna.Labels = map[string]string{"department": "sales", mdmv1alpha1.LabelServer: "berlin"}
	anna.Status.DeviceName, anna.Status.Hardware.UDID = "Anna's MacBook\x1b[2J", "11111111-2222-3333-4444-555555555555"
	end := lt.Ago(-300 * 24 * time.Hour)
	anna.Status.Identity = &mdmv1alpha1.DeviceCertificate{NotAfter: &end}
	anna.Status.Escrowed = []mdmv1alpha1.EscrowedSecret{mdmv1alpha1.EscrowedBootstrapToken}
	phone := lt.With(lt.Device("phone", "DX3", mdmv1alpha1.PlatformApple), lt.Not(mdmv1alpha1.DeviceResponding, mdmv1alpha1.DeviceSilent, "nothing was heard of it since 2026-06-20"))
	phone.Status.Hardware.ProductName, phone.Status.Hardware.ModelName, phone.Status.OS.Version = "iPhone17,1", "iPhone 16 Pro", "18.6.2"
	pc := lt.With(lt.Device("pc", "5CG1234", mdmv1alpha1.PlatformWindows), lt.Not(mdmv1alpha1.DeviceProfilesApplied, mdmv1alpha1.DeviceProfileRefused, "it refuses fonts"),
		lt.Is(mdmv1alpha1.DeviceReenrolmentBlocked, metav1.ConditionTrue, mdmv1alpha1.DeviceIdentityTaken, "somebody tried to enrol it again"))
	at := lt.Ago(3 * time.Hour)
	pc.Status.Failing, pc.Status.FailingCount = []mdmv1alpha1.FailingProfile{{Profile: "fonts", Message: "404: there is no such node", Since: &at}}, lt.Number(2)
	pc.Status.LastError = &mdmv1alpha1.DeviceError{Code: 404, LocURI: "./Device/Vendor/MSFT/Policy", Message: "it has no such node", At: &at}
	pc.Status.LastDrift = &mdmv1alpha1.DeviceDrift{Profile: "firewall", LocURI: "./Vendor/MSFT/Firewall", At: &at}
	pc.Status.Authentication, pc.Status.UserPrincipalName = mdmv1alpha1.AuthenticationMutualTLS, "anna@example.com"
	declared := &mdmv1alpha1.Device{ObjectMeta: lt.Meta("declared"), Spec: mdmv1alpha1.DeviceSpec{ServerRef: mdmv1alpha1.LocalReference{Name: "berlin"}, SerialNumber: "C09"}}
	elsewhere := lt.Device("elsewhere", "C10", mdmv1alpha1.PlatformApple)
	elsewhere.Namespace = "branch"
	return []client.Object{anna, phone, pc, declared, elsewhere}
}

func TestList(t *testing.T) {
	for name, args := range map[string][]string{
		"list": nil, "list-all": {"-A"}, "list-wide": {"-o", "wide"}, "list-names": {"-o", "name", "--all-namespaces"},
	} {
		t.Run(name, func(t *testing.T) {
			w := lt.New(t, fleet()...)
			w.WantError(w.Run(devices.ListCommand, args...))
			golden.Check(t, "testdata/"+name+".txt", w.Out.Bytes())
		})
	}
}

func TestFilters(t *testing.T) {
	for args, want := range map[string]string{
		"--platform windows": "pc", "--platform Apple": "macbook-anna phone", "--os macOS": "macbook-anna", "--os 18.6": "phone", "--os ios 18": "phone", "--os 18.6.2": "phone",
		"--os 1": "", "--os 2": "", "--silent": "phone", "--failing": "pc", "--not-enrolled": "declared", "-l department=sales": "macbook-anna", "-l !department --silent": "phone",
		"--serial c09": "declared", "--failing --silent": "", "-A --serial C10": "elsewhere",
	} {
		w := lt.New(t, fleet()...)
		w.PageSize = 2
		flags := strings.Fields(args)
		if strings.HasPrefix(args, "--os") {
			flags = []string{"--os", strings.TrimPrefix(args, "--os ")}
		}
		w.WantError(w.Run(devices.ListCommand, append(flags, "-o", "name")...))
		if got := strings.Join(strings.Fields(strings.ReplaceAll(w.Out.String(), "device.mdm.kubemdm.io/", "")), " "); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}

func TestListOfNothing(t *testing.T) {
	w := lt.New(t)
	w.WantError(w.Run(devices.ListCommand))
	w.WantOutput("There is no device in the namespace fleet")
	w = lt.New(t, fleet()...)
	w.WantError(w.Run(devices.ListCommand, "--serial", "X"))
	w.WantOutput("None of 4 devices in the namespace fleet is what was asked for")
	w.WantError(w.Run(devices.ListCommand, "--platform", "Linux"), `no platform "Linux"`)
	w.WantError(w.Run(devices.ListCommand, "-l", "a in b"), "--selector")
	w.Forbidden = []string{"Device"}
	w.WantError(w.Run(devices.ListCommand), "does not let you do this")
	w = lt.New(t, fleet()...)
	w.WantError(w.Run(devices.ListCommand, "-o", "json"))
	var list mdmv1alpha1.DeviceList
	if err := json.Unmarshal(w.Out.Bytes(), &list); err != nil || len(list.Items) != 4 || list.Items[0].Kind != "Device" {
		t.Errorf("%v: %s", err, &w.Out)
	}
}

func report() *livev1alpha1.DeviceReport {
	seen, hour, next := lt.Ago(5*time.Minute), lt.Ago(time.Hour), lt.Ago(-10*time.Minute)
	return &livev1alpha1.DeviceReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: lt.Namespace, Name: "macbook-anna"}, Server: "berlin", DeviceID: "11111111-2222-3333-4444-555555555555", State: "Enrolled",
		LastSeen: &seen, Responding: true, Message: "it puts off what is not urgent",
		Profiles: []livev1alpha1.ProfileState{
			{Profile: "wifi", Outcome: "Installed", Since: &hour},
			{Profile: "fonts", Outcome: "Failed", Message: "ConfigurationProfileInstallation 4001: the payload cannot be read\x1b[31m", Since: &hour},
			{Profile: "dock", User: "anna", Outcome: "NotNow", Message: "it is locked", Since: &hour, Attempts: 2, NextAttempt: &next},
			{Profile: "dock", Outcome: "Pending", Message: "it has not called since"},
		},
		History: []livev1alpha1.HistoryEntry{
			{Time: seen, Type: "Acknowledged", RequestType: "InstallProfile", Profile: "wifi", CommandUUID: "a"},
			{Time: hour, Type: "Failed", RequestType: "InstallProfile", Profile: "fonts", Message: "4001: the payload\ncannot be read"},
			{Time: hour, Type: "Sent", RequestType: "RestartDevice", Command: "restart-anna"},
			{Time: lt.Ago(40 * 24 * time.Hour), Type: "Enrolled"},
		},
	}
}

func commands() []client.Object {
	var all []client.Object
	for name, change := range map[string]func(*mdmv1alpha1.DeviceCommand){
		"restart-anna": func(c *mdmv1alpha1.DeviceCommand) {
			c.Spec.Target.DeviceRef = &mdmv1alpha1.LocalReference{Name: "macbook-anna"}
			c.Status.Results = []mdmv1alpha1.CommandResult{{Device: "macbook-anna", State: "Delivered"}}
		},
		"new": func(c *mdmv1alpha1.DeviceCommand) {
			c.Spec.Target.DeviceRef = &mdmv1alpha1.LocalReference{Name: "macbook-anna"}
		},
		"sales": func(c *mdmv1alpha1.DeviceCommand) {
			c.Spec.Target.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"department": "sales"}}
		},
		"done-by-it": func(c *mdmv1alpha1.DeviceCommand) {
			c.Spec.Target.Selector = &metav1.LabelSelector{}
			c.Status.Results = []mdmv1alpha1.CommandResult{{Device: "macbook-anna", State: "Succeeded"}}
		},
		"finished": func(c *mdmv1alpha1.DeviceCommand) {
			at := lt.Ago(time.Hour)
			c.Spec.Target.Selector, c.Status.FinishedAt = &metav1.LabelSelector{}, &at
		},
		"of-another": func(c *mdmv1alpha1.DeviceCommand) {
			c.Spec.Target.DeviceRef = &mdmv1alpha1.LocalReference{Name: "phone"}
		},
	} {
		c := &mdmv1alpha1.DeviceCommand{ObjectMeta: lt.Meta(name), Spec: mdmv1alpha1.DeviceCommandSpec{ServerRef: mdmv1alpha1.LocalReference{Name: "berlin"}}}
		c.Spec.Action.Type = "Restart"
		change(c)
		all = append(all, c)
	}
	return all
}

func TestDevice(t *testing.T) {
	objects := append(append(fleet(), commands()...), report())
	for name, args := range map[string][]string{
		"device": {"macbook-anna"}, "device-history": {"macbook-anna", "--history", "2"}, "device-pc": {"5cg1234"}, "device-declared": {"declared"},
		"device-json": {"C02XK1ABJG5H", "-o", "json"},
	} {
		t.Run(name, func(t *testing.T) {
			w := lt.New(t, objects...)
			w.WantError(w.Run(devices.DeviceCommand, args...))
			golden.Check(t, "testdata/"+name+".txt", w.Out.Bytes())
		})
	}
}

// Whatever keeps the live view from answering, all else is shown, and a line says what is missing.
func TestDeviceWithoutLiveView(t *testing.T) {
	resource := schema.GroupResource{Group: livev1alpha1.GroupVersion.Group, Resource: "devicereports"}
	for want, failure := range map[string]error{
		"the live view is not installed": &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: resource.Group, Kind: "DeviceReport"}},
		"you lack a right on the live view; the viewer role of KubeMDM has those to read: devicereports": apierrors.NewForbidden(resource, "macbook-anna", errors.New("no")),
		"the live view does not answer: the server is currently unable":                                  apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, "get", resource, "macbook-anna", "", 0, true),
	} {
		w := lt.New(t, fleet()...)
		w.Live = failure
		w.WantError(w.Run(devices.DeviceCommand, "macbook-anna"))
		w.WantOutput("Note: profiles and history are not shown: "+want, "C02XK1ABJG5H", "the others are not shown: see the note")
	}
	w := lt.New(t, fleet()...)
	w.Forbidden = []string{"DeviceCommand"}
	w.WantError(w.Run(devices.DeviceCommand, "phone"))
	w.WantOutput("devicecommands are not shown", `profiles and history are not shown: devicereports.live.mdm.kubemdm.io "phone" not found`)
}

func TestNoSuchDevice(t *testing.T) {
	twin := lt.Device("twin", "DX3", mdmv1alpha1.PlatformApple)
	w := lt.New(t, append(fleet(), twin)...)
	w.WantError(w.Run(devices.DeviceCommand, "X1"), "no Device in the namespace fleet has the name or serial number X1: kubectl mdm devices -A lists all")
	w.WantError(w.Run(devices.DeviceCommand, "dx3"), "several Devices in the namespace fleet have the serial number dx3, so name one: phone, twin")
	w.WantError(w.Run(devices.DeviceCommand, "phone", "--history", "201"), "between 0 and 200")
	w.WantError(w.Run(devices.DeviceCommand, "phone", "-o", "xml"), "xml")
	w.Forbidden = []string{"Device"}
	w.WantError(w.Run(devices.DeviceCommand, "phone"), "does not let you do this")
}

func TestCompletion(t *testing.T) {
	for args, want := range map[string]string{"ma": "macbook-anna\n", "macbook-anna x": "", "--output": "json\nyaml\n"} {
		w := lt.New(t, fleet()...)
		words := append([]string{"__complete"}, strings.Fields(args)...)
		if args == "--output" {
			words = append(words, "")
		}
		w.WantError(w.Run(devices.DeviceCommand, words...))
		if got, _, _ := strings.Cut(w.Out.String(), ":"); got != want {
			t.Errorf("%s: %q", args, got)
		}
	}
	w := lt.New(t)
	w.WantError(w.Run(devices.ListCommand, "__complete", "--platform", ""))
	w.WantOutput("Apple\nWindows\n")
}

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
)

// automatedOptions make devices belong to an organisation: they enrol by themselves.
type automatedOptions struct {
	activation, caDir  string
	user, passwordFile string
}

func (o *automatedOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.activation, "ade-activation", "",
		"enrol by Automated Device Enrollment: URL with {serial} that gives each device its setup-assistant profile, such as depfake's http://depfake:8080/activation/{serial}")
	f.StringVar(&o.caDir, "ade-ca-dir", "",
		"folder with the CA of Apple's that issued the devices' certificates: "+applepki.DeviceRootFile+", "+applepki.DeviceChainFile+" and "+applepki.DeviceKeyFile+" in PEM")
	f.StringVar(&o.user, "ade-user", "", "user name to sign in with, where the setup-assistant profile wants a person to")
	f.StringVar(&o.passwordFile, "ade-password-file", "", "file with the password that goes with it")
	c.MarkFlagsRequiredTogether("ade-activation", "ade-ca-dir")
	c.MarkFlagsRequiredTogether("ade-user", "ade-password-file")
}

// enroller returns what takes a device through Setup Assistant.
func (o *automatedOptions) enroller() (func(context.Context, *devicesim.Device) error, error) {
	if !strings.Contains(o.activation, "{serial}") {
		return nil, fmt.Errorf("--ade-activation %q lacks {serial}", o.activation)
	}
	ca, err := applepki.ReadDeviceCA(o.caDir, time.Now)
	if err != nil {
		return nil, fmt.Errorf("reading --ade-ca-dir: %w", err)
	}
	signIn, err := o.signIn()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, d *devicesim.Device) error {
		identity, err := ca.Issue(d.Hardware().UDID, applepki.DeviceOptions{})
		if err != nil {
			return err
		}
		return d.EnrollAutomated(ctx, devicesim.SetupAssistant{Activation: o.activation, Identity: identity, SignIn: signIn})
	}, nil
}

// signIn returns the person at the issuer's form, nil without one.
func (o *automatedOptions) signIn() (func(context.Context, *url.URL, []byte) (url.Values, error), error) {
	if o.user == "" {
		return nil, nil
	}
	password, err := os.ReadFile(o.passwordFile)
	if err != nil {
		return nil, fmt.Errorf("reading --ade-password-file: %w", err)
	}
	fields := url.Values{oidcissuer.FieldUsername: {o.user}, oidcissuer.FieldPassword: {strings.TrimSpace(string(password))}}
	return func(context.Context, *url.URL, []byte) (url.Values, error) { return fields, nil }, nil
}

// erasures remembers which devices were erased: they are in Setup Assistant again.
type erasures struct{ serials sync.Map }

// watch reports events and takes note of erasures.
func (e *erasures) watch(report func(devicesim.Event)) func(devicesim.Event) {
	return func(event devicesim.Event) {
		if event.Kind == devicesim.EventErased {
			e.serials.Store(event.Serial, true)
		}
		report(event)
	}
}

// take says whether the device was erased since it was last asked about.
func (e *erasures) take(d *devicesim.Device) bool {
	_, erased := e.serials.LoadAndDelete(d.Hardware().SerialNumber)
	return erased
}

package wire_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
	"github.com/kubemdm/kubemdm/test/golden"
)

func enrolled() wire.Provisioning {
	return wire.Provisioning{
		ProviderID: "KubeMDM", Certificate: []byte("client"), Store: wire.StoreUser, Roots: [][]byte{[]byte("wstep")},
		Account: &wire.Account{
			Name: "Example & Sons", ManagementURL: "https://mdm.example.com/management", Subject: "CN=enrollment-1,O=KubeMDM device identity",
			EnrollmentID: "enrollment-1", Secret: "secret", Nonce: []byte("nonce"), RenewDays: 42, RetryDays: 7, PollEvery: 8 * time.Hour,
		},
	}
}

func TestProvisioning(t *testing.T) {
	system := enrolled()
	system.Store = wire.StoreSystem
	system.Roots = append(system.Roots, []byte("serving"))
	system.Intermediates = [][]byte{[]byte("intermediate")}
	system.Account.RequireMessageSigning = true
	system.Account.PollEvery = time.Second
	for name, p := range map[string]wire.Provisioning{
		"provisioning":                    enrolled(),
		"provisioning_device_signed":      system,
		"provisioning_renewal":            {ProviderID: "KubeMDM", Certificate: []byte("client"), Store: wire.StoreUser},
		"provisioning_renewal_new_issuer": {ProviderID: "KubeMDM", Certificate: []byte("client"), Store: wire.StoreSystem, Roots: [][]byte{[]byte("wstep")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, got)
			golden.Check(t, "testdata/"+name+".xml", got)
		})
	}
}

func TestProvisioningEscapesWhatItRepeats(t *testing.T) {
	p := enrolled()
	p.ProviderID, p.Store = hostile, hostile
	*p.Account = wire.Account{Name: hostile, ManagementURL: hostile, Subject: hostile, EnrollmentID: hostile, Secret: hostile}
	got, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, got)
	if strings.Contains(string(got), "</s:Body>") {
		t.Errorf("a value was written as it is:\n%s", got)
	}
}

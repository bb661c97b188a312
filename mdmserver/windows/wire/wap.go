package wire

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Store is the certificate store that a client certificate goes to.
type Store string

// The stores of client certificates.
const (
	StoreUser   Store = "User"
	StoreSystem Store = "System"
)

// Provisioning is what a device is told when it has enrolled or renewed (MS-MDE2, section 3.6): a wap-provisioningdoc.
type Provisioning struct {
	// ProviderID names the server on the device.
	ProviderID string
	// Roots and Intermediates are certificates, in DER, that the device is to trust.
	Roots, Intermediates [][]byte
	// Certificate is the client certificate in DER, Store where it goes.
	Certificate []byte
	Store       Store
	// Account is what a device learns once, when it enrols; nil in a renewal.
	Account *Account
}

// Account tells a device how to reach the server.
type Account struct {
	// Name is shown to people.
	Name          string
	ManagementURL string
	// Subject is that of Certificate, by which the device finds it for TLS; the most specific name first.
	Subject string
	// EnrollmentID and Secret are user name and password of the OMA-DM digest; Nonce is for the first one.
	EnrollmentID, Secret  string
	Nonce                 []byte
	RequireMessageSigning bool
	// RenewDays before the end of its certificate a device asks for another one, and again every RetryDays.
	RenewDays, RetryDays int
	// PollEvery is how often a device comes by itself after its first hour; at least a minute.
	PollEvery time.Duration
}

// characteristic and parm are the two elements of a provisioning document.
type characteristic struct {
	Type     string           `xml:"type,attr"`
	Parms    []parm           `xml:"parm"`
	Children []characteristic `xml:"characteristic"`
}

type parm struct {
	Name     string `xml:"name,attr"`
	Value    string `xml:"value,attr,omitempty"`
	DataType string `xml:"datatype,attr,omitempty"`
}

type document struct {
	XMLName         xml.Name         `xml:"wap-provisioningdoc"`
	Version         string           `xml:"version,attr"`
	Characteristics []characteristic `xml:"characteristic"`
}

// Encode writes the document.
func (p *Provisioning) Encode() ([]byte, error) {
	d := document{Version: "1.1", Characteristics: []characteristic{p.certificates(), p.application()}}
	if p.Account != nil {
		d.Characteristics = append(d.Characteristics, p.client())
	}
	out, err := xml.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("rendering a provisioning document: %w", err)
	}
	return out, nil
}

// certificates is for the CertificateStore CSP.
func (p *Provisioning) certificates() characteristic {
	store := characteristic{Type: "CertificateStore"}
	for _, trusted := range []struct {
		name         string
		certificates [][]byte
	}{{"Root", p.Roots}, {"CA", p.Intermediates}} {
		if len(trusted.certificates) == 0 {
			continue
		}
		system := characteristic{Type: string(StoreSystem)}
		for _, der := range trusted.certificates {
			system.Children = append(system.Children, certificate(der))
		}
		store.Children = append(store.Children, characteristic{Type: trusted.name, Children: []characteristic{system}})
	}
	client := certificate(p.Certificate)
	client.Children = []characteristic{{Type: "PrivateKeyContainer"}} // without it the certificate is not bound to its key
	my := characteristic{Type: "My", Children: []characteristic{{Type: string(p.Store), Children: []characteristic{client}}}}
	if p.Account != nil {
		my.Children = append(my.Children, characteristic{Type: "WSTEP", Children: []characteristic{{Type: "Renew", Parms: []parm{
			{"ROBOSupport", "true", "boolean"},
			{"RenewPeriod", strconv.Itoa(p.Account.RenewDays), "integer"},
			{"RetryInterval", strconv.Itoa(p.Account.RetryDays), "integer"},
		}}}})
	}
	store.Children = append(store.Children, my)
	return store
}

func certificate(der []byte) characteristic {
	return characteristic{
		Type:  fmt.Sprintf("%X", sha1.Sum(der)),
		Parms: []parm{{Name: "EncodedCertificate", Value: base64.StdEncoding.EncodeToString(der)}},
	}
}

// application is for the w7 APPLICATION CSP, whose names are case-sensitive. A renewal only says whose it is.
func (p *Provisioning) application() characteristic {
	app := characteristic{Type: "APPLICATION"}
	if p.Account == nil {
		app.Parms = []parm{{Name: "PROVIDER-ID", Value: p.ProviderID}}
		return app
	}
	a := p.Account
	app.Parms = []parm{
		{Name: "APPID", Value: "w7"},
		{Name: "PROVIDER-ID", Value: p.ProviderID},
		{Name: "NAME", Value: a.Name},
		{Name: "ADDR", Value: a.ManagementURL},
		{Name: "CONNRETRYFREQ", Value: "6"},
		{Name: "INITIALBACKOFFTIME", Value: "30000"},
		{Name: "MAXBACKOFFTIME", Value: "120000"},
		{Name: "BACKCOMPATRETRYDISABLED"},
		{Name: "DEFAULTENCODING", Value: "application/vnd.syncml.dm+xml"},
		{Name: "SSLCLIENTCERTSEARCHCRITERIA", Value: "Subject=" + percent(a.Subject) + "&Stores=" + percent(`My\`+string(p.Store))},
	}
	app.Children = []characteristic{
		appAuth("CLIENT", p.ProviderID, a), // the server's credential to the device: Windows wants it to be there
		appAuth("APPSRV", a.EnrollmentID, a),
	}
	return app
}

func appAuth(level, name string, a *Account) characteristic {
	return characteristic{Type: "APPAUTH", Parms: []parm{
		{Name: "AAUTHLEVEL", Value: level},
		{Name: "AAUTHTYPE", Value: "DIGEST"},
		{Name: "AAUTHNAME", Value: name},
		{Name: "AAUTHSECRET", Value: a.Secret},
		{Name: "AAUTHDATA", Value: base64.StdEncoding.EncodeToString(a.Nonce)},
	}}
}

// percent encodes spaces as %20; Windows does not read "+".
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// The first hour after enrolment, in which there is most to do: retries and the minutes between them.
const (
	firstRetries, firstMinutes   = 15, 1
	secondRetries, secondMinutes = 15, 3
)

// client is for the DMClient CSP.
func (p *Provisioning) client() characteristic {
	integer := func(name string, value int) parm { return parm{name, strconv.Itoa(value), "integer"} }
	poll := characteristic{Type: "Poll", Parms: []parm{
		integer("NumberOfFirstRetries", firstRetries),
		integer("IntervalForFirstSetOfRetries", firstMinutes),
		integer("NumberOfSecondRetries", secondRetries),
		integer("IntervalForSecondSetOfRetries", secondMinutes),
		integer("NumberOfRemainingScheduledRetries", 0), // for ever
		integer("IntervalForRemainingScheduledRetries", max(1, int(p.Account.PollEvery/time.Minute))),
		{"PollOnLogin", "true", "boolean"},
		{"AllUsersPollOnFirstLogin", "true", "boolean"},
	}}
	provider := characteristic{
		Type:     p.ProviderID,
		Parms:    []parm{{"EntDMID", p.Account.EnrollmentID, "string"}},
		Children: []characteristic{poll},
	}
	if p.Account.RequireMessageSigning {
		provider.Parms = append(provider.Parms, parm{"RequireMessageSigning", "true", "boolean"})
	}
	return characteristic{Type: "DMClient", Children: []characteristic{{Type: "Provider", Children: []characteristic{provider}}}}
}

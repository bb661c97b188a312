package windows

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	defaultRetries    = 3
	defaultBackoff    = 16000
	defaultMaxBackoff = 86400000
)

// readApplication reads the w7 APPLICATION, whose names are case-sensitive (w7 APPLICATION CSP).
func (p *Provisioning) readApplication(a *element) error {
	if err := upperCase(a); err != nil {
		return err
	}
	if appID := a.parm("APPID"); appID != "w7" {
		return fmt.Errorf("APPID %q", appID)
	}
	address, err := httpsURL(a.parm("ADDR"))
	if err != nil {
		return fmt.Errorf("ADDR: %w", err)
	}
	p.ManagementURL = address.String()
	if encoding := a.parm("DEFAULTENCODING"); encoding != typeSyncML {
		return fmt.Errorf("DEFAULTENCODING %q: only XML is spoken here", encoding)
	}
	if criteria := a.parm("SSLCLIENTCERTSEARCHCRITERIA"); criteria != "" {
		if p.SearchCriteria, err = url.ParseQuery(criteria); err != nil {
			return fmt.Errorf("SSLCLIENTCERTSEARCHCRITERIA: %w", err)
		}
	}
	if err := p.readBackoff(a); err != nil {
		return err
	}
	return p.readCredentials(a)
}

func upperCase(e *element) error {
	for _, c := range e.children {
		name := c.attr("type") + c.attr("name")
		if name != strings.ToUpper(name) {
			return fmt.Errorf("%s is not in capitals", name)
		}
		if err := upperCase(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *Provisioning) readBackoff(a *element) error {
	numbers := map[string]int{"CONNRETRYFREQ": defaultRetries, "INITIALBACKOFFTIME": defaultBackoff, "MAXBACKOFFTIME": defaultMaxBackoff}
	for name := range numbers {
		text := a.parm(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		numbers[name] = n
	}
	p.Retries = numbers["CONNRETRYFREQ"]
	p.InitialBackoff = time.Duration(numbers["INITIALBACKOFFTIME"]) * time.Millisecond
	p.MaxBackoff = time.Duration(numbers["MAXBACKOFFTIME"]) * time.Millisecond
	return nil
}

// readCredentials wants an APPAUTH block for each direction.
func (p *Provisioning) readCredentials(a *element) error {
	blocks := map[string]*Credentials{"CLIENT": &p.ToClient, "APPSRV": &p.ToServer}
	for _, auth := range a.all("characteristic") {
		if auth.attr("type") != "APPAUTH" {
			continue
		}
		level := auth.parm("AAUTHLEVEL")
		c := blocks[level]
		if c == nil {
			return fmt.Errorf("AAUTHLEVEL %q is unknown or comes twice", level)
		}
		delete(blocks, level)
		c.Type, c.Name, c.Secret = auth.parm("AAUTHTYPE"), auth.parm("AAUTHNAME"), auth.parm("AAUTHSECRET")
		var err error
		if c.Nonce, err = base64.StdEncoding.DecodeString(auth.parm("AAUTHDATA")); err != nil {
			return fmt.Errorf("AAUTHDATA of %s: %w", level, err)
		}
	}
	if len(blocks) > 0 {
		return errors.New("one of the two APPAUTH blocks is missing")
	}
	return p.checkCredentials()
}

func (p *Provisioning) checkCredentials() error {
	switch {
	case p.ToClient.Type != "DIGEST" || p.ToClient.Secret == "":
		return errors.New("CLIENT is not DIGEST with a secret")
	case p.ToServer.Type != "DIGEST" && p.ToServer.Type != "BASIC" || p.ToServer.Name == "" || p.ToServer.Secret == "":
		return errors.New("APPSRV is not BASIC or DIGEST with a name and a secret")
	case p.ToServer.Type == "DIGEST" && len(p.ToServer.Nonce) == 0:
		return errors.New("APPSRV has no nonce")
	}
	return nil
}

// formats are those of the datatypes of parms.
var formats = map[string]string{"string": "chr", "integer": "int", "boolean": "bool"}

// readSettings reads the server's branch of the DMClient CSP, which the management tree will show.
func (p *Provisioning) readSettings(provider *element) error {
	if provider == nil {
		return fmt.Errorf("no provider %s, as in APPLICATION", p.ProviderID)
	}
	p.settings = map[string]Node{}
	if err := p.settingsOf(provider, ""); err != nil {
		return err
	}
	return p.checkPoll()
}

func (p *Provisioning) settingsOf(e *element, below string) error {
	for _, c := range e.children {
		if c.Local == "characteristic" {
			if err := p.settingsOf(c, below+c.attr("type")+"/"); err != nil {
				return err
			}
			continue
		}
		name, value, format := below+c.attr("name"), c.attr("value"), formats[c.attr("datatype")]
		if format == "" {
			return fmt.Errorf("%s has the datatype %q", name, c.attr("datatype"))
		}
		data, err := normal(format, value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.settings[name] = Node{Format: format, Data: data}
	}
	return nil
}

// pollSets are the three sets of the poll schedule: how often, and how far apart in minutes.
var pollSets = [3][2]string{
	{"NumberOfFirstRetries", "IntervalForFirstSetOfRetries"},
	{"NumberOfSecondRetries", "IntervalForSecondSetOfRetries"},
	{"NumberOfRemainingScheduledRetries", "IntervalForRemainingScheduledRetries"},
}

// checkPoll holds the schedule against the rules of the DMClient CSP: some set has an interval, and only the last one in use is endless.
func (p *Provisioning) checkPoll() error {
	used, endless := 0, 0
	for _, set := range pollSets {
		number, hasNumber := p.settings["Poll/"+set[0]]
		interval, hasInterval := p.settings["Poll/"+set[1]]
		if hasNumber != hasInterval {
			return fmt.Errorf("poll: one of %v is missing", set)
		}
		if interval.Data == "" || interval.Data == "0" {
			continue
		}
		used++
		if number.Data == "0" {
			endless++
		}
	}
	if used == 0 || endless > 1 {
		return fmt.Errorf("poll: %d sets are in use, %d are endless", used, endless)
	}
	return nil
}

package fleet

import (
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// factsEvery is how often a device is asked what it is.
const factsEvery = 24 * time.Hour

// Nodes that say what a device is (DevInfo and DevDetail CSPs).
const (
	nodeManufacturer = "./DevInfo/Man"
	nodeModel        = "./DevInfo/Mod"
	nodeVersion      = "./DevDetail/SwV"
	nodeSerial       = "./DevDetail/Ext/Microsoft/SMBIOSSerialNumber"
	nodeDeviceName   = "./DevDetail/Ext/Microsoft/DeviceName"
	nodePlatform     = "./DevDetail/Ext/Microsoft/OSPlatform"
	// nodeThumbprint is the certificate that the device will renew next (CertificateStore CSP).
	nodeThumbprint = "./Vendor/MSFT/CertificateStore/My/WSTEP/CertThumbprint"
)

// nodeSessionVersion is the version of sessions that the server understands (DMClient CSP, SyncApplicationVersion). From 3.0 on a device says by an HRESULT
// why it refuses a command.
const (
	nodeSessionVersion = "./Device/Vendor/MSFT/DMClient/Provider/" + adminapi.WindowsProviderID + "/SyncApplicationVersion"
	sessionVersion     = "3.0"
)

var factNodes = []string{nodeManufacturer, nodeModel, nodeVersion, nodeSerial, nodeDeviceName, nodePlatform}

// maxFact bounds what a device says of itself, in bytes.
const maxFact = 256

// factsOf gathers what the values say. The build is the end of the version "major.minor.build.revision".
func factsOf(values []stepResult) DeviceFacts {
	said := map[string]string{}
	for _, v := range values {
		said[v.LocURI] = clip(strings.TrimSpace(v.Data), maxFact)
	}
	facts := DeviceFacts{
		SerialNumber: said[nodeSerial], Model: said[nodeModel], ProductName: said[nodePlatform], OSVersion: said[nodeVersion], DeviceName: said[nodeDeviceName],
	}
	if said[nodeManufacturer] != "" && facts.Model != "" {
		facts.ModelName = said[nodeManufacturer] + " " + facts.Model
	}
	if parts := strings.Split(facts.OSVersion, "."); len(parts) == 4 {
		facts.BuildVersion = parts[2] + "." + parts[3]
	}
	return facts
}

// replaced are the values that the device sends by itself.
func (m *WindowsMessage) replaced() []stepResult {
	values := make([]stepResult, 0, len(m.Replaced))
	for _, r := range m.Replaced {
		values = append(values, stepResult{LocURI: r.LocURI, Data: r.Data})
	}
	return values
}

// read are all values that the steps brought.
func (j *job) read() []stepResult {
	var values []stepResult
	for _, s := range j.Steps {
		values = append(values, s.Results...)
	}
	return values
}

// factsDue says whether the device is to be asked what it is: once in a session at most.
func (s *winSession) factsDue() bool {
	if s.state.Asked {
		return false
	}
	return s.device.State == adminapi.DevicePending || s.device.Intent == adminapi.IntentManage && !s.state.FactsAt.Add(factsEvery).After(s.tx.now)
}

func (s *winSession) startFacts() {
	s.state.Asked = true
	j := job{Kind: jobFacts}
	for _, node := range factNodes {
		j.Steps = append(j.Steps, get(node))
	}
	if !s.device.RenewingSince.IsZero() {
		j.Steps = append(j.Steps, get(nodeThumbprint))
	}
	if s.device.State == adminapi.DevicePending {
		j.Steps = append(j.Steps, sessionVersionSteps()...)
	}
	s.begin(j)
}

// sessionVersionSteps set the version whether the device has the node by itself or not, which differs by build.
func sessionVersionSteps() []step {
	added := adminapi.SyncMLCommand{Verb: adminapi.VerbAdd, LocURI: nodeSessionVersion, Format: "chr", Data: sessionVersion}
	replaced := added
	replaced.Verb = adminapi.VerbReplace
	return newSteps([]adminapi.SyncMLCommand{added, replaced})
}

// concludeFacts stores what the device is; the first time, that decides whether it may be enrolled.
func (s *winSession) concludeFacts(j *job) error {
	s.state.FactsAt = s.tx.now
	values := j.read()
	for _, v := range values {
		if v.LocURI != nodeThumbprint {
			continue
		}
		if err := s.f.holds(s.tx, s.device, v.Data); err != nil {
			return err
		}
	}
	facts := factsOf(values)
	if s.device.State != adminapi.DevicePending {
		return learn(s.tx, s.device, facts)
	}
	if err := s.f.completeWindows(s.tx, s.device, facts); err != nil {
		return err
	}
	return s.reachChannels()
}

// learnFacts stores what the device says besides. Another version of Windows is a reason to ask for the rest.
func (s *winSession) learnFacts(facts DeviceFacts) error {
	if facts.OSVersion != "" && facts.OSVersion != s.device.Facts.OSVersion {
		s.state.FactsAt = zeroTime
	}
	return learn(s.tx, s.device, facts)
}

// unnamed are the facts but for what names the device.
func (d DeviceFacts) unnamed() DeviceFacts {
	d.UDID, d.SerialNumber = "", ""
	return d
}

package windows

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Node is a leaf of the management tree.
type Node struct {
	// Format is chr, int, bool, b64, bin, node, null, xml, date, time or float.
	Format string
	// Type is a MIME type, often empty.
	Type string
	Data string
}

// Statuses that the tree answers (OMA-DM Representation 1.2, section 10).
const (
	statusOK           = 200
	statusBadRequest   = 400
	statusNotFound     = 404
	statusNotAllowed   = 405
	statusUnsupported  = 406
	statusWrongFormat  = 415
	statusExists       = 418
	statusFailed       = 500
	statusRolledBack   = 216
	statusNotExecuted  = 215
	statusAtomicFailed = 507
)

// tree is the management tree: leaves by canonical path. Nodes between them exist because leaves below them do.
type tree struct{ leaves map[string]Node }

// canonical is a LocURI without "./" and without the "Device" that stands for no prefix.
func canonical(locURI string) string {
	path := strings.TrimPrefix(locURI, "./")
	return strings.TrimPrefix(path, "Device/")
}

// newTree is the tree of a PC that is not enrolled.
func newTree(h Hardware) *tree {
	text := map[string]string{
		"DevInfo/DevId": h.DeviceID, "DevInfo/Man": h.OEM, "DevInfo/Mod": h.Model, "DevInfo/DmV": "1.3", "DevInfo/Lang": "en-US",
		"DevDetail/SwV": h.OSVersion, "DevDetail/FwV": "1.2.3", "DevDetail/HwV": "1.0", "DevDetail/OEM": h.OEM, "DevDetail/DevTyp": h.Model,
		"DevDetail/Ext/Microsoft/SMBIOSSerialNumber": h.SerialNumber, "DevDetail/Ext/Microsoft/SMBIOSVersion": "3.4",
		"DevDetail/Ext/Microsoft/DeviceName": h.Name, "DevDetail/Ext/Microsoft/DNSComputerName": h.Name,
		"DevDetail/Ext/Microsoft/OSPlatform": "Windows 11 Pro", "DevDetail/Ext/Microsoft/LocalTime": "2026-01-01T08:00:00.0000000Z",
	}
	numbers := map[string]string{
		"DevDetail/Ext/Microsoft/TotalRAM": "16384", "DevDetail/Ext/Microsoft/TotalStorage": "512000",
		"DevDetail/Ext/Microsoft/ProcessorArchitecture": "9",
	}
	t := &tree{leaves: map[string]Node{}}
	for path, data := range text {
		t.leaves[path] = Node{Format: "chr", Data: data}
	}
	for path, data := range numbers {
		t.leaves[path] = Node{Format: "int", Data: data}
	}
	return t
}

// provision adds what an enrolment brings.
func (t *tree) provision(e *enrollment, opts *Options) {
	for name, n := range e.provisioning.settings {
		t.leaves[e.dmClient(name)] = n
	}
	t.leaves[e.dmClient("EnrollmentType")] = Node{Format: "chr", Data: string(opts.EnrollmentType)}
	t.leaves[e.dmClient("MaxSyncApplicationVersion")] = Node{Format: "chr", Data: "5.0"}
	t.leaves[e.dmClient("HWDevID")] = Node{Format: "chr", Data: opts.HWDevID}
	t.leaves[renewal+"ROBOSupport"] = Node{Format: "bool", Data: "true"}
	t.leaves[renewal+"RenewPeriod"] = Node{Format: "int", Data: strconv.Itoa(e.provisioning.RenewPeriod)}
	t.leaves[renewal+"RetryInterval"] = Node{Format: "int", Data: strconv.Itoa(e.provisioning.RetryInterval)}
	t.certify(e)
}

// certify shows the certificate in use.
func (t *tree) certify(e *enrollment) {
	t.leaves["Vendor/MSFT/CertificateStore/My/WSTEP/CertThumbprint"] = Node{Format: "chr", Data: thumbprint(e.identity.Certificate)}
}

// renewal is the branch of the renewal schedule.
const renewal = "Vendor/MSFT/CertificateStore/My/WSTEP/Renew/"

func (t *tree) value(path string) string { return t.leaves[path].Data }

func (t *tree) number(path string) int {
	n, err := strconv.Atoi(t.value(path))
	if err != nil {
		return 0
	}
	return n
}

func (t *tree) clone() *tree { return &tree{leaves: maps.Clone(t.leaves)} }

func (t *tree) remove(path string) {
	maps.DeleteFunc(t.leaves, func(leaf string, _ Node) bool { return leaf == path || strings.HasPrefix(leaf, path+"/") })
}

// below returns the names of the nodes right below a path, sorted.
func (t *tree) below(path string) []string {
	var names []string
	for leaf := range t.leaves {
		if rest, ok := strings.CutPrefix(leaf, path+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// do runs a verb on one node and returns the status, for Get with the node.
func (t *tree) do(verb, locURI string, n Node, login Login) (int, Node) {
	if code := wellFormed(locURI); code != statusOK {
		return code, Node{}
	}
	path := canonical(locURI)
	rule, known := ruleOf(path)
	leaf, isLeaf := t.leaves[path]
	isNode := isLeaf || len(t.below(path)) > 0
	switch {
	case !known && !isNode:
		return statusNotFound, Node{}
	case known && !strings.Contains(rule.verbs, verb):
		return statusNotAllowed, Node{}
	case strings.HasPrefix(path, "User/") && login != LoginUser:
		return statusNotAllowed, Node{}
	}
	switch verb {
	case "Get":
		return t.get(path, leaf, isLeaf, isNode)
	case "Delete":
		return t.cut(path, isNode), Node{}
	case "Exec":
		return rule.exec(n, isLeaf), Node{}
	}
	return t.write(verb, path, n, rule, isLeaf, isNode), Node{}
}

func (t *tree) cut(path string, isNode bool) int {
	if !isNode {
		return statusNotFound
	}
	t.remove(path)
	return statusOK
}

func (t *tree) get(path string, leaf Node, isLeaf, isNode bool) (int, Node) {
	if rest, ok := strings.CutPrefix(path, "Vendor/MSFT/Policy/Result/"); ok { // what is in force is what was set
		leaf, isLeaf = t.leaves["Vendor/MSFT/Policy/Config/"+rest]
	}
	switch {
	case isLeaf && leaf.Format != "node":
		return statusOK, leaf
	case isNode:
		return statusOK, Node{Format: "node", Data: strings.Join(t.below(path), "/")}
	}
	return statusNotFound, Node{}
}

// write is Add, which wants the node to be missing, or Replace, which wants it to be there.
func (t *tree) write(verb, path string, n Node, rule definition, isLeaf, isNode bool) int {
	switch {
	case verb == "Add" && isNode:
		return statusExists
	case verb == "Replace" && !isNode:
		return statusNotFound
	case verb == "Replace" && !isLeaf:
		return statusNotAllowed
	}
	if code := rule.check(n); code != statusOK {
		return code
	}
	if n.Format == "" {
		n.Format = "chr" // the default of OMA-DM
	}
	data, err := normal(n.Format, n.Data)
	if err != nil {
		return statusWrongFormat
	}
	n.Data = data
	t.leaves[path] = n
	return statusOK
}

// wellFormed checks a LocURI (MS-MDM section 2.2.4.2): it starts with "./", and no segment is empty or a dot.
func wellFormed(locURI string) int {
	path, relative := strings.CutPrefix(locURI, "./")
	if !relative {
		return statusNotFound
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return statusBadRequest
		}
	}
	return statusOK
}

// normal is data as Windows gives it back: numbers without leading zeros, truths as words, base64 in one line.
func normal(format, data string) (string, error) {
	trimmed := strings.TrimSpace(data)
	switch format {
	case "int":
		n, err := strconv.ParseInt(trimmed, 10, 64)
		return strconv.FormatInt(n, 10), err
	case "bool":
		b, err := strconv.ParseBool(trimmed)
		return strconv.FormatBool(b), err
	case "float":
		_, err := strconv.ParseFloat(trimmed, 64)
		return trimmed, err
	case "b64", "bin":
		joined := strings.Join(strings.Fields(data), "")
		_, err := base64.StdEncoding.DecodeString(joined)
		return joined, err
	case "xml":
		_, err := parse([]byte("<any>" + data + "</any>"))
		return trimmed, err
	case "date", "time":
		_, err := time.Parse(map[string]string{"date": time.DateOnly, "time": time.RFC3339}[format], trimmed)
		return trimmed, err
	case "node", "null":
		if trimmed != "" {
			return "", errors.New("it has data")
		}
		return "", nil
	case "chr":
		return data, nil
	}
	return "", fmt.Errorf("format %q", format)
}

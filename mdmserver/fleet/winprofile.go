package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxLocURI bounds a LocURI, in bytes.
const maxLocURI = 2048

// parseWindowsProfile reads the template of an artifact for Windows and checks that it can be sent on a channel of the scope. Error: adminapi.CodeInvalid.
func parseWindowsProfile(template []byte, scope adminapi.Scope) (*adminapi.WindowsProfile, error) {
	p := &adminapi.WindowsProfile{}
	if err := json.Unmarshal(template, p); err != nil {
		return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Message: "the template is not a profile for Windows in JSON"}
	}
	if len(p.Commands) == 0 {
		return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Message: "the profile has no commands"}
	}
	for _, c := range p.Commands {
		if reason := unsendable(c, false); reason != "" {
			return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Message: reason}
		}
	}
	for uri := range writes(newSteps(p.Commands)) {
		if strings.HasPrefix(uri, userNodes) != (scope == adminapi.ScopeUser) {
			return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Message: fmt.Sprintf("%s is not in the scope %s of the profile", uri, scope)}
		}
	}
	return p, nil
}

// userNodes is what the nodes of the user who is logged in are below.
const userNodes = "./User/"

// unsendable says why a command cannot be sent, or "".
func unsendable(c adminapi.SyncMLCommand, nested bool) string {
	switch c.Verb {
	case adminapi.VerbSet, adminapi.VerbAdd, adminapi.VerbReplace, adminapi.VerbDelete, adminapi.VerbExec, adminapi.VerbGet:
		if !strings.HasPrefix(c.LocURI, "./") || len(c.LocURI) > maxLocURI || len(c.Commands) > 0 {
			return fmt.Sprintf("a command %s needs one LocURI that begins with \"./\" and has at most %d bytes", c.Verb, maxLocURI)
		}
	case adminapi.VerbAtomic, adminapi.VerbSequence:
		if nested || c.LocURI != "" || len(c.Commands) == 0 {
			return fmt.Sprintf("a command %s holds commands, none of which holds others", c.Verb)
		}
		for _, inner := range c.Commands {
			if reason := unsendable(inner, true); reason != "" {
				return reason
			}
		}
	default:
		return fmt.Sprintf("the verb %q is unknown", c.Verb)
	}
	return ""
}

// nodeName is the one name of a node that LocURIs may call by several: without a prefix a CSP is the device's, and the case of the first name does not matter.
func nodeName(locURI string) string {
	root, rest, _ := strings.Cut(strings.TrimPrefix(locURI, "./"), "/")
	switch {
	case strings.EqualFold(root, "Vendor"):
		return "./Device/Vendor/" + rest
	case strings.EqualFold(root, "Device"):
		return "./Device/" + rest
	case strings.EqualFold(root, "User"):
		return userNodes + rest
	}
	return locURI
}

func writesNode(v adminapi.SyncMLVerb) bool {
	return v == adminapi.VerbSet || v == adminapi.VerbAdd || v == adminapi.VerbReplace
}

// writes returns what the steps write, by the name of the node. What is written last counts.
func writes(steps []step) map[string]adminapi.SyncMLCommand {
	nodes := map[string]adminapi.SyncMLCommand{}
	for _, s := range leaves(steps) {
		if writesNode(s.Command.Verb) {
			nodes[nodeName(s.Command.LocURI)] = s.Command
		}
	}
	return nodes
}

// assignedProfile is an artifact of a channel; values are read when they are asked for.
type assignedProfile struct {
	row    ArtifactRow
	nodes  []string
	values map[string]adminapi.SyncMLCommand
}

// stepsOf reads the commands of an artifact.
func (s *winSession) stepsOf(key adminapi.Key) ([]step, error) {
	a, err := s.tx.Artifact(key)
	if err != nil {
		return nil, err
	}
	return s.openProfile(a)
}

func (s *winSession) openProfile(a *ArtifactRow) ([]step, error) {
	template, err := s.f.open(a.Template, sealedTemplate, string(a.Key))
	if err != nil {
		return nil, err
	}
	p := &adminapi.WindowsProfile{}
	if err := json.Unmarshal(template, p); err != nil {
		return nil, fmt.Errorf("reading a stored profile: %w", err)
	}
	return newSteps(p.Commands), nil
}

// assignedTo lists the artifacts of a channel, by key.
func (s *winSession) assignedTo(ch *session) ([]*assignedProfile, error) {
	if have, ok := s.assigned[ch.channel.ID]; ok {
		return have, nil
	}
	rows, err := s.tx.AssignedArtifacts(ch.channel.ID)
	if err != nil {
		return nil, err
	}
	var profiles []*assignedProfile
	for _, row := range rows {
		nodes, err := s.tx.Nodes(row.Key)
		if err != nil {
			return nil, err
		}
		profiles = append(profiles, &assignedProfile{row: row, nodes: nodes})
	}
	s.assigned[ch.channel.ID] = profiles
	return profiles, nil
}

// valuesOf returns what an assigned artifact writes.
func (s *winSession) valuesOf(a *assignedProfile) (map[string]adminapi.SyncMLCommand, error) {
	if a.values != nil {
		return a.values, nil
	}
	steps, err := s.openProfile(&a.row)
	if err == nil {
		a.values = writes(steps)
	}
	return a.values, err
}

// sortedNodes lists the names in order.
func sortedNodes(nodes map[string]adminapi.SyncMLCommand) []string {
	return slices.Sorted(maps.Keys(nodes))
}

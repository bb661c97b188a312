package windows

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Agent is the program beside Windows that asks it to enrol.
type Agent struct {
	server, secret string
	nodeKey        string
}

// Notifications are what an agent is told when it polls.
type Notifications struct {
	Enroll       bool   `json:"needs_programmatic_windows_mdm_enrollment"`
	DiscoveryURL string `json:"windows_mdm_discovery_endpoint"`
	Unenroll     bool   `json:"needs_programmatic_windows_mdm_unenrollment"`
	Sync         bool   `json:"windows_mdm_sync_request"`
}

// InstallAgent installs an agent that knows its server ("https://host") and an enrolment secret. It does nothing until it polls.
func (pc *PC) InstallAgent(server, secret string) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	pc.agent = &Agent{server: server, secret: secret}
}

// EnrollByAgent installs an agent and has it poll until the PC is enrolled.
func (pc *PC) EnrollByAgent(ctx context.Context, server, secret string) error {
	pc.InstallAgent(server, secret)
	for {
		if _, err := pc.PollAgent(ctx); err != nil || pc.Enrolled() {
			return err
		}
		if err := pc.wait(ctx, pc.opts.AgentInterval); err != nil {
			return err
		}
	}
}

// NodeKey is what the agent polls with, empty before it enrolled.
func (pc *PC) NodeKey() string {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	if pc.agent == nil {
		return ""
	}
	return pc.agent.nodeKey
}

// PollAgent has the agent poll once and do what it is told. An agent that is not known (any more) forgets its node key, and enrols anew at
// the next poll.
func (pc *PC) PollAgent(ctx context.Context) (*Notifications, error) {
	pc.mu.Lock()
	a := pc.agent
	pc.mu.Unlock()
	if a == nil {
		return nil, fmt.Errorf("polling: %w: there is no agent", ErrNotEnrolled)
	}
	if pc.NodeKey() == "" {
		if err := pc.enrollAgent(ctx, a); err != nil {
			return nil, err
		}
	}
	var config struct {
		Notifications *Notifications  `json:"notifications"`
		Channels      json.RawMessage `json:"update_channels"`
		Flags         json.RawMessage `json:"command_line_startup_flags"`
	}
	status, err := pc.ask(ctx, a.server+"/api/fleet/orbit/config", map[string]string{"orbit_node_key": a.nodeKey}, &config)
	if status == http.StatusUnauthorized {
		pc.setNodeKey(a, "")
	}
	switch {
	case err != nil:
		return nil, err
	case config.Notifications == nil:
		return nil, malformed("agent: no notifications")
	case config.Channels != nil || config.Flags != nil:
		return nil, malformed("agent: it changes the agent's own settings")
	}
	return config.Notifications, pc.heedAgent(ctx, a, config.Notifications)
}

func (pc *PC) setNodeKey(a *Agent, key string) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	a.nodeKey = key
}

func (pc *PC) heedAgent(ctx context.Context, a *Agent, n *Notifications) error {
	switch {
	case n.Enroll && n.DiscoveryURL != "":
		if pc.Enrolled() {
			return nil // a notice of before: an agent that succeeded does not ask Windows again for an hour
		}
		token, err := AgentToken(a.nodeKey)
		if err != nil {
			return err
		}
		pc.event(EventRegistering, "")
		return pc.Register(ctx, n.DiscoveryURL, token)
	case n.Unenroll:
		return pc.Unenroll(ctx)
	case n.Sync:
		pc.event(EventSynced, "")
		_, err := pc.Session(ctx, SessionOptions{})
		return err
	}
	return nil
}

// enrollAgent gets a node key.
func (pc *PC) enrollAgent(ctx context.Context, a *Agent) error {
	h := pc.opts.Hardware
	var answer struct {
		NodeKey string `json:"orbit_node_key"`
	}
	_, err := pc.ask(ctx, a.server+"/api/fleet/orbit/enroll", map[string]string{
		"enroll_secret": a.secret, "hardware_uuid": h.UUID, "hardware_serial": h.SerialNumber, "hostname": h.Name, "platform": "windows",
		"osquery_identifier": h.UUID, "computer_name": h.Name, "hardware_model": h.Model,
	}, &answer)
	if err != nil {
		return err
	}
	if answer.NodeKey == "" {
		return malformed("agent: no node key")
	}
	pc.setNodeKey(a, answer.NodeKey)
	return nil
}

// ask posts JSON and reads JSON.
func (pc *PC) ask(ctx context.Context, url string, question map[string]string, answer any) (int, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return 0, fmt.Errorf("agent: %w", err)
	}
	got, err := pc.Send(ctx, Message{Method: http.MethodPost, URL: url, Body: body, Header: http.Header{
		"Content-Type": {typeJSON}, "X-Fleet-Capabilities": {"windows_mdm_sync"},
	}})
	switch {
	case err != nil:
		return 0, fmt.Errorf("agent: %w", err)
	case got.Status != http.StatusOK:
		return got.Status, &HTTPError{Endpoint: "agent", Status: got.Status}
	case !got.hasType(typeJSON) || !strings.HasPrefix(string(got.Body), "{"):
		return got.Status, malformed("agent: content type %q", got.Header.Get("Content-Type"))
	}
	if err := json.Unmarshal(got.Body, answer); err != nil {
		return got.Status, malformed("agent: %w", err)
	}
	return got.Status, nil
}

// Unenroll leaves management as a user or an agent makes Windows leave: it says so in a session, and is out of management even if nobody
// hears it.
func (pc *PC) Unenroll(ctx context.Context) error {
	pc.conversation.Lock()
	defer pc.conversation.Unlock()
	e, err := pc.current()
	if err != nil {
		return err
	}
	_, err = pc.session(ctx, e, SessionOptions{Alerts: []Alert{{Code: AlertGeneric, Type: TypeUnenrol, Format: "int", Data: "1"}}})
	if pc.Enrolled() {
		pc.forget(devicesim.EventUnmanaged, "")
	}
	return err
}

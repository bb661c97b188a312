package fleet

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// agentLookups bounds the agents that are looked for in the store at the same time.
	agentLookups = 4
	// agentsEvery is how often the agents in memory are read again at most. With very many agents it is less often: a pause is agentsPause times as long
	// as the reading took.
	agentsEvery = time.Second
	agentsPause = 20
)

// EnrollAgent makes an agent of whoever holds the token, of which it gets the lower-case hex SHA-256, and returns its node key. No use is counted: that
// happens when Windows enrols. An earlier agent on the same hardware loses its node key. Errors: ErrTokenUnknown, ErrTokenPlatform, ErrTokenExpired,
// ErrTokenExhausted, ErrTokenDevice; ErrReenrolmentBlocked, recorded on the device, while the hardware or its serial number is enrolled by a token
// other than one that was made for that device: an agent says of itself what it likes.
func (f *Fleet) EnrollAgent(ctx context.Context, tokenHash string, claim AgentClaim) (nodeKey string, err error) {
	claim.HardwareUUID, claim.SerialNumber = canonicalUUID(claim.HardwareUUID), realSerial(claim.SerialNumber)
	err = f.update(ctx, func(tx *txn) error {
		token, err := tx.TokenByHash(tokenHash)
		if err != nil {
			return err
		}
		if err := token.usable(adminapi.PlatformWindows, tx.now); err != nil {
			return err
		}
		if token.SerialNumber != "" && claim.SerialNumber != "" && token.SerialNumber != claim.SerialNumber {
			return ErrTokenDevice
		}
		if err := replaceAgents(tx, token, claim); err != nil {
			return err
		}
		if nodeKey, err = f.secret(); err != nil {
			return err
		}
		return tx.PutAgent(AgentRow{
			NodeKeyHash: hashHex(nodeKey), HardwareUUID: claim.HardwareUUID, SerialNumber: claim.SerialNumber,
			Token: token.Key, CreatedAt: tx.now,
		})
	})
	if err != nil {
		return "", err
	}
	return nodeKey, nil
}

// replaceAgents deletes the earlier agents on the hardware, if the token may take over what is enrolled there or nothing is.
func replaceAgents(tx *txn, token *TokenRow, said AgentClaim) error {
	former, err := tx.AgentsOn(said.HardwareUUID)
	if err != nil {
		return err
	}
	namesake, err := tx.DeviceWithSerial(said.SerialNumber, "")
	if err != nil {
		return err
	}
	devices := []*DeviceRow{namesake}
	for _, agent := range former {
		device, err := tx.Device(agent.DeviceID)
		if err != nil {
			return err
		}
		devices = append(devices, device)
	}
	issued := token.enrolment("", tx.now)
	for _, device := range devices {
		c := &claim{device: device, issued: &issued}
		if err := takeover(c); err != nil {
			return c.refused(tx, err)
		}
	}
	for _, agent := range former {
		if err := tx.DeleteAgent(agent.NodeKeyHash); err != nil {
			return err
		}
	}
	return nil
}

// Agent says what an agent is to do, from memory. Errors: ErrNotEnrolled for a node key that is proven to be unknown, ErrUnavailable while that is in doubt.
func (f *Fleet) Agent(ctx context.Context, nodeKeyHash string) (AgentNotice, error) {
	if known := f.agents.Load(); known != nil {
		if view, ok := (*known)[nodeKeyHash]; ok {
			return view.notice(f.now()), nil
		}
	}
	select {
	case f.lookup <- struct{}{}:
		defer func() { <-f.lookup }()
	default:
		return AgentNotice{}, ErrUnavailable
	}
	found, err := f.readAgents(ctx, nodeKeyHash)
	if err != nil {
		return AgentNotice{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	view, ok := found[nodeKeyHash]
	if !ok {
		return AgentNotice{}, ErrNotEnrolled
	}
	return view.notice(f.now()), nil
}

func (v AgentView) notice(now time.Time) AgentNotice {
	return AgentNotice{Enroll: v.Enroll, Unenroll: v.Unenroll, Sync: !v.WakeAt.IsZero() && !v.WakeAt.After(now)}
}

// readAgents reads what is known of all agents, or of the one whose node key has the hash.
func (f *Fleet) readAgents(ctx context.Context, nodeKeyHash string) (map[string]AgentView, error) {
	var agents map[string]AgentView
	err := f.view(ctx, func(tx *txn) error {
		views, err := tx.AgentViews(nodeKeyHash)
		agents = make(map[string]AgentView, len(views))
		for _, v := range views {
			agents[v.NodeKeyHash] = v
		}
		return err
	})
	return agents, err
}

// RunAgents keeps what agents are told in memory until the context ends: it reads all agents again after a change of the store, once a
// second at most.
func (f *Fleet) RunAgents(ctx context.Context) {
	for {
		began := time.Now()
		agents, err := f.readAgents(ctx, "")
		if err == nil {
			f.agents.Store(&agents)
		} else if ctx.Err() == nil {
			f.opts.Log.Error("agents cannot be read; they are told what was last known", "error", err)
			signal(f.stale)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(agentsEvery, agentsPause*time.Since(began))):
		}
		select {
		case <-ctx.Done():
			return
		case <-f.stale:
		}
	}
}

// noHardware are UUIDs that makers of PCs leave in many machines.
var noHardware = []string{"03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90AB-CDDEEFAABBCC"}

// canonicalUUID is the UUID of a machine in upper case; empty if many have it. Firmware and operating systems disagree on the order of its first bytes: of
// the two readings it is the lower one.
func canonicalUUID(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(raw) != 16 {
		return s
	}
	if slices.Contains(noHardware, s) || slices.Min(raw) == slices.Max(raw) {
		return ""
	}
	format := func(b []byte) string { return fmt.Sprintf("%X-%X-%X-%X-%X", b[0:4], b[4:6], b[6:8], b[8:10], b[10:]) }
	asRead := format(raw)
	for _, part := range [][]byte{raw[0:4], raw[4:6], raw[6:8]} {
		slices.Reverse(part)
	}
	return min(asRead, format(raw))
}

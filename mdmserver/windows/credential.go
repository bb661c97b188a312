package windows

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

var (
	errNoCredential = errors.New("the message has no credential")
	errCredential   = errors.New("the credential is of no known form")
)

// programmatic is the type of the token that an agent hands to Windows.
const programmatic = 1

// agentToken is what an agent hands to RegisterDeviceWithManagement; Windows passes it on.
type agentToken struct {
	Type    int `json:"type"`
	Payload struct {
		NodeKey string `json:"orbit_node_key"`
	} `json:"payload"`
}

// credential reads what a device enrols with: a token of the sign-in page or of an agent, which goes before an enrolment token typed as the password.
// Errors: errNoCredential, errCredential.
func credential(s wire.Security) (fleet.WindowsCredential, error) {
	switch {
	case s.Token != nil:
		return tokenCredential(*s.Token)
	case s.Password != "":
		return fleet.WindowsCredential{TokenHash: hash(s.Password)}, nil
	}
	return fleet.WindowsCredential{}, errNoCredential
}

func tokenCredential(token wire.BinaryToken) (fleet.WindowsCredential, error) {
	content, err := token.Bytes()
	if err != nil || len(content) == 0 {
		return fleet.WindowsCredential{}, fmt.Errorf("%w: the token is empty or no base64", errCredential)
	}
	if content[0] != '{' {
		return fleet.WindowsCredential{Ticket: string(content)}, nil
	}
	var agent agentToken
	if err := json.Unmarshal(content, &agent); err != nil || agent.Type != programmatic || agent.Payload.NodeKey == "" {
		return fleet.WindowsCredential{}, fmt.Errorf("%w: the token is JSON, but not of an agent", errCredential)
	}
	return fleet.WindowsCredential{NodeKeyHash: hash(agent.Payload.NodeKey)}, nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

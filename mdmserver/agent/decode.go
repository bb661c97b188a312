package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/kubemdm/kubemdm/internal/agentapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const (
	// maxBody is in bytes; a request has about half a KiB.
	maxBody = 64 << 10
	// maxField bounds what is kept of a machine, in bytes.
	maxField = 256
)

// badRequest is a request that no repetition makes better. It is told to the agent.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// decode reads one JSON value. Fields it does not know are tolerated: newer agents send more of them.
func decode[T any](body io.Reader) (T, error) {
	var in T
	b, err := io.ReadAll(body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return in, err
	case err != nil || json.Unmarshal(b, &in) != nil:
		return in, badRequest("the body is not the JSON of this call")
	}
	return in, nil
}

// claimOf checks and cleans what an agent says of its machine: all of it ends up before people's eyes.
func claimOf(in agentapi.EnrollRequest) (fleet.AgentClaim, error) {
	if in.Platform != agentapi.PlatformWindows {
		return fleet.AgentClaim{}, badRequest("only agents on Windows enrol here")
	}
	claim := fleet.AgentClaim{HardwareUUID: clean(in.HardwareUUID), SerialNumber: clean(in.HardwareSerial)}
	if claim.HardwareUUID == "" {
		return claim, badRequest("hardware_uuid is empty")
	}
	for _, field := range []string{claim.HardwareUUID, claim.SerialNumber} {
		if len(field) > maxField {
			return claim, badRequest(fmt.Sprintf("a field is longer than %d bytes", maxField))
		}
	}
	return claim, nil
}

// clean drops what cannot be printed: manufacturers pad serial numbers with anything.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
}

package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/printers"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// printer writes one line for an event.
type printer struct {
	env        *cli.Env
	json       bool
	everywhere bool
}

func (p *printer) print(e *livev1alpha1.DeviceEvent) error {
	if p.json {
		e.SetGroupVersionKind(livev1alpha1.GroupVersion.WithKind("DeviceEvent")) // typed clients leave out the kind
		return json.NewEncoder(p.env.Out).Encode(e)
	}
	server := e.Server
	if p.everywhere {
		server = e.Namespace + "/" + server
	}
	line := fmt.Sprintf("%s  %-12s  %-24s  %-12s  %s", e.Time.UTC().Format(time.DateTime), server, cmp.Or(e.Device, e.SerialNumber, e.DeviceID), e.Type, about(e))
	line = strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	_, err := fmt.Fprintln(p.env.Out, strings.TrimRight(printers.EscapeTerminal(line), " "))
	return err
}

// about says what an event is about, and what was said.
func about(e *livev1alpha1.DeviceEvent) string {
	words := []string{e.RequestType}
	switch {
	case e.Profile != "":
		words = append(words, "Profile", e.Profile)
	case e.Command != "":
		words = append(words, "DeviceCommand", e.Command)
	}
	if e.User != "" {
		words = append(words, "of the user", e.User)
	}
	text := strings.TrimSpace(strings.Join(words, " "))
	if text != "" && e.Message != "" {
		text += ": "
	}
	return text + e.Message
}

package apple

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"

	nanohttp "github.com/micromdm/nanomdm/http"
	mdmhttp "github.com/micromdm/nanomdm/http/mdm"
	"github.com/micromdm/nanomdm/mdm"

	"github.com/kubemdm/kubemdm/internal/xmlplist"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// serveCommand takes the answer to the last command and gives the next one. nanomdm's handler refuses an answer that it cannot parse,
// and a device would send it again and again; here such an answer closes its command as failed.
func (p *protocol) serveCommand(w http.ResponseWriter, r *http.Request) {
	body, err := nanohttp.ReadAllAndReplaceBody(r)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	results, err := decodeResults(body)
	if err != nil {
		http.Error(w, err.Error(), logged(r.Context(), p.log, "report", err))
		return
	}
	command, err := p.CommandAndReportResults(mdmhttp.RequestFromHTTP(r), results)
	if err != nil {
		status := statusOf(err)
		http.Error(w, http.StatusText(status), status)
		return
	}
	if command != nil {
		w.Header().Set("Content-Type", "application/xml; charset=utf-8")
		w.Write(command.Raw) //nolint:errcheck // the device that went away asks again
	}
}

// CommandAndReportResults credits the answer and returns the next command; nil, an empty body, when there is nothing to do.
func (p *protocol) CommandAndReportResults(r *mdm.Request, results *mdm.CommandResults) (out *mdm.Command, err error) {
	err = p.hear(r, "report", &results.Enrollment, func(s speaker) error {
		next, err := p.fleet.Connect(s.ctx, s.id, s.ch, fleet.Report{
			Status:      fleet.Status(results.Status),
			CommandUUID: results.CommandUUID,
			Message:     message(results.ErrorChain),
			Body:        results.Raw,
			Facts:       answeredFacts(results),
		})
		if len(next) > 0 {
			out = &mdm.Command{Raw: next}
		}
		return err
	})
	return out, err
}

var knownStatus = map[fleet.Status]bool{
	fleet.StatusIdle:               true,
	fleet.StatusAcknowledged:       true,
	fleet.StatusError:              true,
	fleet.StatusCommandFormatError: true,
	fleet.StatusNotNow:             true,
}

// decodeResults decodes a report. One that cannot be decoded, or that has an unknown status, becomes an Error of the command that it
// names; only when it names none is it malformed.
func decodeResults(body []byte) (*mdm.CommandResults, error) {
	results, err := readResults(body)
	if err == nil {
		return results, nil
	}
	if results = salvage(body); results.CommandUUID == "" {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return results, nil
}

func readResults(body []byte) (*mdm.CommandResults, error) {
	if err := xmlplist.Check(body); err != nil {
		return nil, err
	}
	results, err := mdm.DecodeCommandResults(body)
	if err != nil {
		return nil, errors.New("it is no report") // the decoder's error repeats what it read
	}
	if !knownStatus[fleet.Status(results.Status)] {
		return nil, errors.New("it has no known status")
	}
	return results, nil
}

// element matches what salvage needs of a property list: where dictionaries and arrays begin and end, and pairs of key and string.
var element = regexp.MustCompile(`<(/?)(?:dict|array)\s*>|<key>([^<]*)</key>\s*<string>([^<]*)</string>`)

// salvage reads the ids of a report that does not parse, without parsing it: the strings of its outermost dictionary. One match at a time is in
// memory, for a device may send millions of elements.
func salvage(raw []byte) *mdm.CommandResults {
	found := map[string]string{}
	body, depth := raw, 0
	for m := element.FindSubmatchIndex(body); m != nil; m = element.FindSubmatchIndex(body) {
		switch isPair, ends := m[4] >= 0, m[2] < m[3]; {
		case isPair && depth == 1:
			found[string(body[m[4]:m[5]])] = html.UnescapeString(string(body[m[6]:m[7]]))
		case isPair:
		case ends:
			depth--
		default:
			depth++
		}
		body = body[m[1]:]
	}
	return &mdm.CommandResults{
		Enrollment: mdm.Enrollment{
			UDID:             found["UDID"],
			UserID:           found["UserID"],
			UserShortName:    found["UserShortName"],
			EnrollmentID:     found["EnrollmentID"],
			EnrollmentUserID: found["EnrollmentUserID"],
		},
		CommandUUID: found["CommandUUID"],
		Status:      string(fleet.StatusError),
		ErrorChain:  []mdm.ErrorChain{{USEnglishDescription: "The device's answer could not be read."}},
		Raw:         raw,
	}
}

// Bounds of what a device says in words, in bytes.
const (
	maxMessage = 1024
	maxFact    = 255
)

// message puts an error chain into words, the outermost error first.
func message(chain []mdm.ErrorChain) string {
	var words strings.Builder
	for i, e := range chain {
		if i > 0 {
			words.WriteString("; ")
		}
		description := e.USEnglishDescription
		if description == "" {
			description = e.LocalizedDescription
		}
		words.WriteString(description)
		if e.ErrorDomain != "" {
			fmt.Fprintf(&words, " (%s %d)", e.ErrorDomain, e.ErrorCode)
		}
	}
	return clip(words.String(), maxMessage)
}

// answeredFacts are those in an answer to DeviceInformation, nil in any other. Facts of a wrong type are no facts; the answer counts.
func answeredFacts(results *mdm.CommandResults) *fleet.DeviceFacts {
	if !bytes.Contains(results.Raw, []byte("<key>QueryResponses</key>")) {
		return nil
	}
	var answer struct{ QueryResponses *fleet.DeviceFacts }
	if err := xmlplist.Unmarshal(results.Raw, &answer); err != nil || answer.QueryResponses == nil {
		return nil
	}
	facts := clipped(*answer.QueryResponses)
	return &facts
}

// decodeFacts reads the facts in an Authenticate message. Their keys are the names of the fields.
func decodeFacts(raw []byte) (fleet.DeviceFacts, error) {
	var facts fleet.DeviceFacts
	if err := xmlplist.Unmarshal(raw, &facts); err != nil {
		return facts, fmt.Errorf("%w: what it says of the device is not text", errMalformed)
	}
	return clipped(facts), nil
}

func clipped(f fleet.DeviceFacts) fleet.DeviceFacts {
	for _, s := range []*string{
		&f.UDID, &f.SerialNumber, &f.Model, &f.ModelName, &f.ProductName, &f.OSVersion, &f.BuildVersion, &f.DeviceName,
	} {
		*s = clip(*s, maxFact)
	}
	return f
}

// clip cuts s to at most limit bytes, between characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

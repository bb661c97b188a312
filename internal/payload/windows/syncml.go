package windows

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// maxCommands bounds the commands of a document, those of an Atomic or a Sequence included.
const maxCommands = 1024

// The verbs of a document. A device is asked by the server, not by a Profile.
var (
	verbs  = []adminapi.SyncMLVerb{adminapi.VerbAdd, adminapi.VerbReplace, adminapi.VerbDelete, adminapi.VerbExec}
	groups = []adminapi.SyncMLVerb{adminapi.VerbAtomic, adminapi.VerbSequence}
)

// document reads the SyncML of a Profile and checks each command as if it were a setting.
func document(scope v1alpha1.ProfileScope, source *v1alpha1.SyncMLProfile, from content.Sources) ([]adminapi.SyncMLCommand, error) {
	data, err := from.Of(&source.ContentSource)
	if err != nil {
		return nil, in("syncML", err)
	}
	commands, err := parse(data)
	if err == nil {
		err = finish(commands, scope, source.Verification)
	}
	switch {
	case err == nil:
		return commands, nil
	case source.SecretRef != nil:
		// What is wrong may be quoted in order to name it.
		return nil, in("syncML", errors.New(
			"the commands of the Secret cannot be used; the fault may quote the Secret and is not shown: try a copy without secrets in syncML.inline"))
	case source.Inline != "":
		return nil, in("syncML.inline", err)
	}
	return nil, in("syncML", err)
}

// finish checks commands as they were read and writes their values as devices get them.
func finish(commands []adminapi.SyncMLCommand, scope v1alpha1.ProfileScope, verification v1alpha1.SettingVerification) error {
	for i := range commands {
		c := &commands[i]
		if slices.Contains(groups, c.Verb) {
			if err := finish(c.Commands, scope, verification); err != nil {
				return err
			}
			continue
		}
		if err := checkNode(scope, c.Verb, c.LocURI); err != nil {
			return of(c, err)
		}
		if c.Verb == adminapi.VerbDelete {
			continue
		}
		as := cmp.Or(v1alpha1.SettingFormat(c.Format), v1alpha1.FormatText)
		var err error
		if c.Data, err = write(as, c.Data); err != nil {
			return of(c, err)
		}
		c.Unverified = verification == v1alpha1.VerifyStatus || valueless(as)
	}
	return nil
}

// of says which command a fault is of.
func of(c *adminapi.SyncMLCommand, err error) error {
	named := &content.Error{Reason: v1alpha1.ProfileUnreadable, Message: fmt.Sprintf("%s %.128q: %v", c.Verb, c.LocURI, err)}
	var known *content.Error
	if errors.As(err, &known) {
		named.Reason = known.Reason
	}
	return named
}

// parse reads a SyncML document, a SyncBody or a list of commands. Elements count by their local names; CmdID, Final, SyncHdr and Source are left
// out. A command with several items becomes as many commands.
func parse(data []byte) ([]adminapi.SyncMLCommand, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // Windows' editors write one
	r := &reader{data: data, tokens: xml.NewDecoder(bytes.NewReader(data))}
	commands, err := r.commands("", false)
	if err != nil {
		line, _ := r.tokens.InputPos()
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	if len(commands) == 0 {
		return nil, errors.New("it holds no command")
	}
	return commands, nil
}

// reader walks through a document within bounds.
type reader struct {
	data   []byte
	tokens *xml.Decoder
	depth  int
	count  int
}

// next is the next token that means something: a start, an end or text. It is nil at the end of the document.
func (r *reader) next() (xml.Token, error) {
	for {
		begin := r.tokens.InputOffset()
		token, err := r.tokens.Token()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("it is no well-formed XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if r.depth++; r.depth > maxDepth {
				return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
			}
			return t, nil
		case xml.EndElement:
			r.depth--
			return t, nil
		case xml.CharData:
			return t, nil
		case xml.ProcInst:
			if begin != 0 || t.Target != "xml" {
				return nil, errors.New("it holds a processing instruction")
			}
		case xml.Directive:
			return nil, errors.New("it holds a document type")
		}
	}
}

// child is the next element below the one that is open, or nil at its end. Text between elements is refused.
func (r *reader) child() (*xml.StartElement, error) {
	for {
		token, err := r.next()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("there is text between elements")
			}
		default:
			return nil, nil
		}
	}
}

// commands reads those of the element that is open.
func (r *reader) commands(parent string, grouped bool) ([]adminapi.SyncMLCommand, error) {
	var commands []adminapi.SyncMLCommand
	for {
		start, err := r.child()
		if err != nil || start == nil {
			return commands, err
		}
		added, err := r.command(parent, start.Name.Local, grouped)
		if err != nil {
			return nil, err
		}
		commands = append(commands, added...)
	}
}

// command reads what stands where commands do.
func (r *reader) command(parent, name string, grouped bool) ([]adminapi.SyncMLCommand, error) {
	verb := adminapi.SyncMLVerb(name)
	switch {
	case slices.Contains([]string{"CmdID", "Final", "SyncHdr", "Meta"}, name):
		return nil, r.skip()
	case name == "SyncML" && parent == "", name == "SyncBody" && (parent == "" || parent == "SyncML"):
		return r.commands(name, false)
	case slices.Contains(groups, verb) && !grouped:
		below, err := r.commands(name, true)
		if err == nil && len(below) == 0 {
			err = errors.New(name + " holds no command")
		}
		return []adminapi.SyncMLCommand{{Verb: verb, Commands: below}}, err
	case slices.Contains(groups, verb):
		return nil, errors.New(name + " stands within another group: groups do not nest")
	case slices.Contains(verbs, verb):
		return r.items(verb)
	}
	return nil, fmt.Errorf("%.32q is no command of a Profile: use Add, Replace, Delete, Exec, Atomic and Sequence", name)
}

// items reads a command that is about nodes.
func (r *reader) items(verb adminapi.SyncMLVerb) ([]adminapi.SyncMLCommand, error) {
	var commands []adminapi.SyncMLCommand
	meta := adminapi.SyncMLCommand{Verb: verb}
	for {
		start, err := r.child()
		if err != nil {
			return nil, err
		}
		if start == nil {
			break
		}
		switch start.Name.Local {
		case "CmdID", "NoResp":
			err = r.skip()
		case "Meta":
			err = r.meta(&meta)
		case "Item":
			item := meta
			err = r.item(&item)
			commands = append(commands, item)
		default:
			err = unexpected(start, string(verb))
		}
		if err != nil {
			return nil, err
		}
	}
	if len(commands) == 0 {
		return nil, fmt.Errorf("%s holds no Item", verb)
	}
	if r.count += len(commands); r.count > maxCommands {
		return nil, fmt.Errorf("there are more than %d commands", maxCommands)
	}
	return commands, nil
}

func (r *reader) item(c *adminapi.SyncMLCommand) error {
	for {
		start, err := r.child()
		if err != nil || start == nil {
			return err
		}
		switch start.Name.Local {
		case "Target":
			err = r.target(c)
		case "Source":
			err = r.skip()
		case "Meta":
			err = r.meta(c)
		case "Data":
			c.Data, err = r.content()
		default:
			err = unexpected(start, "Item")
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) target(c *adminapi.SyncMLCommand) error {
	return r.fields(map[string]*string{"LocURI": &c.LocURI})
}

func (r *reader) meta(c *adminapi.SyncMLCommand) error {
	return r.fields(map[string]*string{"Format": &c.Format, "Type": &c.Type})
}

// fields reads the texts of child elements that are wanted and leaves the others out.
func (r *reader) fields(wanted map[string]*string) error {
	for {
		start, err := r.child()
		if err != nil || start == nil {
			return err
		}
		into, want := wanted[start.Name.Local]
		if !want {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		text, err := r.content()
		if err != nil {
			return err
		}
		*into = strings.TrimSpace(text)
	}
}

// skip leaves out the element that is open, and all below it.
func (r *reader) skip() error {
	_, err := r.content()
	return err
}

// content is the text of the element that is open, or, if there are elements in it, the XML as it stands.
func (r *reader) content() (string, error) {
	begin, depth := r.tokens.InputOffset(), r.depth
	var text strings.Builder
	isXML := false
	for {
		end := r.tokens.InputOffset()
		token, err := r.next()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			isXML = true
		case xml.EndElement:
			if r.depth >= depth {
				continue
			}
			if isXML {
				return string(r.data[begin:end]), nil
			}
			return text.String(), nil
		default:
			return "", io.ErrUnexpectedEOF
		}
	}
}

func unexpected(start *xml.StartElement, parent string) error {
	return fmt.Errorf("%.32q does not belong into %s", start.Name.Local, parent)
}

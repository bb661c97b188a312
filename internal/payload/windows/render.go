package windows

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// format is part of every digest. A change of it applies every profile of every fleet again.
const format = "kubemdm.io/windows/1"

// References lists the keys of ConfigMaps and Secrets that a Profile for Windows devices is made of.
func References(p *v1alpha1.Profile) (refs content.References) {
	for _, s := range p.Spec.Windows.Settings {
		if s.ValueFrom != nil {
			refs.Secrets = append(refs.Secrets, s.ValueFrom.SecretRef)
		}
	}
	if s := p.Spec.Windows.SyncML; s != nil {
		refs.Add(&s.ContentSource)
	}
	return refs
}

// Render makes the commands of p, an adminapi.WindowsProfile in JSON. Its identifier is the durable name of the Profile: nodes, which several
// Profiles may share, are what is owned. Every error holds one *content.Error or more.
func Render(p *v1alpha1.Profile, from content.Sources) (*content.Rendered, error) {
	commands, err := compose(p, from)
	if err != nil {
		return nil, err
	}
	var template bytes.Buffer
	encoder := json.NewEncoder(&template)
	encoder.SetEscapeHTML(false) // values are often XML
	if err := encoder.Encode(adminapi.WindowsProfile{Commands: commands}); err != nil {
		return nil, fmt.Errorf("writing the commands: %w", err)
	}
	return content.Render(p.Namespace+"/"+p.Name, format, bytes.TrimSpace(template.Bytes()))
}

// Validate judges what stands in the Profile itself, and not what it refers to.
func Validate(p *v1alpha1.Profile) error {
	if m := p.Spec.Windows.SyncML; m != nil {
		if m.Inline == "" {
			return nil
		}
		_, err := compose(p, content.Sources{})
		return err
	}
	_, err := settings(p, func(command *adminapi.SyncMLCommand, s *v1alpha1.WindowsSetting) error {
		if s.ValueFrom != nil {
			return nil
		}
		return fill(command, s, content.Sources{})
	})
	return err
}

func compose(p *v1alpha1.Profile, from content.Sources) ([]adminapi.SyncMLCommand, error) {
	if m := p.Spec.Windows.SyncML; m != nil {
		return document(p.Spec.Scope, m, from)
	}
	return settings(p, func(command *adminapi.SyncMLCommand, s *v1alpha1.WindowsSetting) error { return fill(command, s, from) })
}

// settings makes a command of each setting. The error holds the faults of all.
func settings(p *v1alpha1.Profile, fill func(*adminapi.SyncMLCommand, *v1alpha1.WindowsSetting) error) ([]adminapi.SyncMLCommand, error) {
	commands := make([]adminapi.SyncMLCommand, len(p.Spec.Windows.Settings))
	var faults []error
	for i, s := range p.Spec.Windows.Settings {
		command, err := node(p.Spec.Scope, &s)
		if err == nil {
			err = fill(&command, &s)
		}
		commands[i] = command
		faults = append(faults, in(fmt.Sprintf("settings[%d]", i), err))
	}
	return commands, errors.Join(faults...)
}

// node is the command of a setting without its value.
func node(scope v1alpha1.ProfileScope, s *v1alpha1.WindowsSetting) (adminapi.SyncMLCommand, error) {
	command := adminapi.SyncMLCommand{
		Verb: adminapi.VerbSet, LocURI: s.LocURI, Format: string(s.Format), Type: s.MIMEType,
		Unverified: s.Verification == v1alpha1.VerifyStatus || valueless(s.Format),
	}
	return command, in("locURI", checkNode(scope, command.Verb, s.LocURI))
}

// fill puts the value of a setting into its command.
func fill(command *adminapi.SyncMLCommand, s *v1alpha1.WindowsSetting, from content.Sources) error {
	var value, field string
	switch {
	case s.ValueFrom != nil:
		secret, found := from.Secrets[s.ValueFrom.SecretRef]
		if field = "valueFrom"; !found {
			return in(field, errors.New("the Secret is missing"))
		}
		value = string(secret)
		if s.Format == v1alpha1.FormatBase64 || s.Format == v1alpha1.FormatBinary {
			value = base64.StdEncoding.EncodeToString(secret)
		}
	case s.Value != nil:
		value, field = *s.Value, "value"
	default:
		field = "format"
	}
	var err error
	command.Data, err = write(s.Format, value)
	return in(field, err)
}

// checkNode judges a command of a Profile. What one writes is deleted when the Profile goes, so it must be a node that may be.
func checkNode(scope v1alpha1.ProfileScope, verb adminapi.SyncMLVerb, uri string) error {
	if err := checkLocURI(uri); err != nil {
		return err
	}
	if err := checkScope(scope, uri); err != nil {
		return err
	}
	if verb != adminapi.VerbExec {
		verb = adminapi.VerbDelete
	}
	return checkAllowed(verb, uri)
}

// in says in which field a fault is.
func in(field string, err error) error {
	if err == nil {
		return nil
	}
	var known *content.Error
	if !errors.As(err, &known) {
		return &content.Error{Reason: v1alpha1.ProfileUnreadable, Field: field, Message: err.Error()}
	}
	if known.Field != "" {
		field += "." + known.Field
	}
	return &content.Error{Reason: known.Reason, Field: field, Message: known.Message}
}

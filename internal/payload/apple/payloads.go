package apple

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

// fromPayloads puts payloads together into a configuration profile.
func fromPayloads(list *v1alpha1.PayloadList, p *v1alpha1.Profile, from content.Sources) (dict, error) {
	name := durableName(p)
	items := make(array, len(list.Items))
	for i, item := range list.Items {
		payload, err := fromPayload(item, from)
		if err != nil {
			return nil, content.Unreadable("payload %d (%s): %v", i, item.Type, err)
		}
		identify(payload, fmt.Sprintf("%s.%d", name, i))
		items[i] = payload
	}
	profile := dict{
		"PayloadType":        "Configuration",
		"PayloadVersion":     1,
		"PayloadIdentifier":  name,
		"PayloadDisplayName": p.Name,
		"PayloadContent":     items,
	}
	override(profile, "PayloadIdentifier", list.Identifier)
	override(profile, "PayloadDisplayName", list.DisplayName)
	override(profile, "PayloadDescription", list.Description)
	return profile, nil
}

func override(d dict, key, value string) {
	if value != "" {
		d[key] = value
	}
}

func fromPayload(item v1alpha1.Payload, from content.Sources) (dict, error) {
	payload, err := settings(item.Settings.Raw)
	if err != nil {
		return nil, err
	}
	for _, value := range item.SecretValues {
		if err := inject(payload, value, from); err != nil {
			return nil, err
		}
	}
	if _, set := payload["PayloadType"]; set {
		return nil, errors.New("settings must not set PayloadType: the type of the payload does")
	}
	payload["PayloadType"] = item.Type
	return payload, nil
}

// settings reads a JSON object as values of a property list.
func settings(raw []byte) (dict, error) {
	if len(raw) == 0 {
		return dict{}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object dict
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("settings are no object: %w", err)
	}
	converted, err := convert(object, "", 0)
	if err != nil {
		return nil, err
	}
	payload, isDict := converted.(dict)
	if !isDict {
		return nil, errors.New("settings are no object")
	}
	return payload, nil
}

// convert turns a JSON value into one of a property list. path is where it stands, for errors.
func convert(value any, path string, depth int) (any, error) {
	if depth > xmlplist.MaxDepth {
		return nil, fmt.Errorf("settings are nested more than %d deep", xmlplist.MaxDepth)
	}
	switch v := value.(type) {
	case string, bool:
		return v, nil
	case json.Number:
		return number(v, path)
	case array:
		return convertArray(v, path, depth)
	case dict:
		return convertObject(v, path, depth)
	}
	return nil, fmt.Errorf("settings%s is null, which no property list can hold: leave it out", path)
}

func convertArray(list array, path string, depth int) (any, error) {
	out := make(array, len(list))
	for i, item := range list {
		var err error
		if out[i], err = convert(item, fmt.Sprintf("%s/%d", path, i), depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// literals are what JSON has no values for, by the single key of the object that stands for them.
var literals = map[string]func(string) (any, error){
	"$data": func(s string) (any, error) { return base64.StdEncoding.DecodeString(s) },
	"$date": func(s string) (any, error) {
		t, err := time.Parse(time.RFC3339, s)
		return t.UTC().Truncate(time.Second), err
	},
}

func convertObject(object dict, path string, depth int) (any, error) {
	out := make(dict, len(object))
	for key, item := range object {
		at := path + "/" + key
		if literal := literals[key]; literal != nil && len(object) == 1 {
			text, _ := item.(string)
			value, err := literal(text)
			if err != nil || text == "" {
				return nil, fmt.Errorf("settings%s is neither base64 data under $data nor an RFC 3339 date under $date", at)
			}
			return value, nil
		}
		value, err := convert(item, at, depth+1)
		if err != nil {
			return nil, err
		}
		out[key] = value
	}
	return out, nil
}

func number(n json.Number, path string) (any, error) {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i, nil
	}
	if u, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
		return u, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("settings%s is a number that no property list can hold", path)
	}
	return f, nil
}

// inject puts the value of a Secret into a payload.
func inject(payload dict, value v1alpha1.SecretValue, from content.Sources) error {
	secret, found := from.Secrets[value.SecretRef]
	if !found {
		return fmt.Errorf("the Secret value for %s is missing", value.Path)
	}
	var v any = string(secret)
	if value.Encoding == v1alpha1.SecretValueData {
		v = secret
	}
	_, err := set(payload, pointer(value.Path), v)
	if err != nil {
		return fmt.Errorf("the Secret value for %s has no place: %w", value.Path, err)
	}
	return nil
}

// pointer splits a JSON Pointer (RFC 6901, section 4).
func pointer(path string) []string {
	tokens := strings.Split(path, "/")[1:]
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for i := range tokens {
		tokens[i] = unescape.Replace(tokens[i])
	}
	return tokens
}

// set returns node with value at the place that the tokens lead to. Dictionaries on the way are made, lists must exist.
func set(node any, tokens []string, value any) (any, error) {
	if len(tokens) == 0 {
		return value, nil
	}
	token, rest := tokens[0], tokens[1:]
	if node == nil {
		node = dict{}
	}
	switch n := node.(type) {
	case dict:
		child, err := set(n[token], rest, value)
		n[token] = child
		return n, err
	case array:
		i, err := strconv.Atoi(token)
		if err != nil || i < 0 || i >= len(n) {
			return n, fmt.Errorf("%q is no index of a list of %d", token, len(n))
		}
		n[i], err = set(n[i], rest, value)
		return n, err
	}
	return node, fmt.Errorf("%q is below a value that is neither an object nor a list", token)
}

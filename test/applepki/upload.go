package applepki

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// The keys of a PushCertificateRequest.
const (
	keyCSR       = "PushCertRequestCSR"
	keyChain     = "PushCertCertificateChain"
	keySignature = "PushCertSignature"
)

// maxUpload bounds an upload in bytes; a real one has about ten thousand.
const maxUpload = 64 << 10

// doctype is what property lists of Apple's tools and documentation say.
var doctype = regexp.MustCompile(`^DOCTYPE plist PUBLIC "-//Apple( Computer| Inc)?//DTD PLIST 1\.0//EN" "https?://www\.apple\.com/DTDs/PropertyList-1\.0\.dtd"$`)

var lineBreaks = strings.NewReplacer("\r", "", "\n", "")

// decodeBase64 takes line breaks, and nothing else that is not base64.
func decodeBase64(text string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(lineBreaks.Replace(text))
	if err == nil && len(b) == 0 {
		err = errors.New("it is empty")
	}
	return b, err
}

// readUpload returns the three strings of an upload by their keys.
func readUpload(file []byte) (map[string]string, error) {
	if len(file) > maxUpload {
		return nil, fmt.Errorf("the file has %d bytes: more than any request", len(file))
	}
	document, err := decodeBase64(string(file))
	if err != nil {
		return nil, fmt.Errorf("the file is not base64: %w", err)
	}
	p := &parser{tokens: xml.NewDecoder(strings.NewReader(string(document)))}
	entries, err := p.document()
	if err != nil {
		return nil, fmt.Errorf("the property list: %w", err)
	}
	for _, key := range []string{keyCSR, keyChain, keySignature} {
		if _, ok := entries[key]; !ok {
			return nil, fmt.Errorf("the property list: %s is missing", key)
		}
	}
	if len(entries) != 3 {
		return nil, fmt.Errorf("the property list: %d keys where there must be three", len(entries))
	}
	return entries, nil
}

// parser reads a property list that is one dictionary of strings; anything else in it is an error.
type parser struct {
	tokens *xml.Decoder
}

func (p *parser) document() (map[string]string, error) {
	if err := p.prologue(); err != nil {
		return nil, err
	}
	if err := p.start("plist", xml.Attr{Name: xml.Name{Local: "version"}, Value: "1.0"}); err != nil {
		return nil, err
	}
	if err := p.start("dict"); err != nil {
		return nil, err
	}
	entries, err := p.entries()
	if err != nil {
		return nil, err
	}
	if err := p.end("plist"); err != nil {
		return nil, err
	}
	switch token, err := p.next(); {
	case errors.Is(err, io.EOF):
		return entries, nil
	case err != nil:
		return nil, err
	default:
		return nil, fmt.Errorf("%s after its end", describe(token))
	}
}

func (p *parser) prologue() error {
	token, err := p.next()
	if err != nil {
		return err
	}
	if declaration, ok := token.(xml.ProcInst); !ok || declaration.Target != "xml" || string(declaration.Inst) != `version="1.0" encoding="UTF-8"` {
		return errors.New("it does not begin with the XML declaration of UTF-8")
	}
	if token, err = p.next(); err != nil {
		return err
	}
	if directive, ok := token.(xml.Directive); !ok || !doctype.Match(directive) {
		return errors.New("it has not Apple's DOCTYPE")
	}
	return nil
}

// entries reads up to the end of the dictionary.
func (p *parser) entries() (map[string]string, error) {
	entries := map[string]string{}
	for {
		token, err := p.next()
		if err != nil {
			return nil, err
		}
		if end, ok := token.(xml.EndElement); ok && end.Name.Local == "dict" {
			return entries, nil
		}
		key, err := p.text(token, "key")
		if err != nil {
			return nil, err
		}
		if token, err = p.next(); err != nil {
			return nil, err
		}
		value, err := p.text(token, "string")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if _, twice := entries[key]; twice {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		entries[key] = value
	}
}

// text reads the rest of an element that began with token and holds text only.
func (p *parser) text(token xml.Token, name string) (string, error) {
	if start, ok := token.(xml.StartElement); !ok || start.Name.Local != name || len(start.Attr) > 0 {
		return "", fmt.Errorf("%s where <%s> is expected", describe(token), name)
	}
	var text strings.Builder
	for {
		token, err := p.tokens.Token()
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.EndElement:
			return text.String(), nil
		default:
			return "", fmt.Errorf("%s in <%s>", describe(token), name)
		}
	}
}

func (p *parser) start(name string, attributes ...xml.Attr) error {
	token, err := p.next()
	if err != nil {
		return err
	}
	start, ok := token.(xml.StartElement)
	if !ok || start.Name.Local != name || len(start.Attr) != len(attributes) {
		return fmt.Errorf("%s where <%s> is expected", describe(token), name)
	}
	for i, a := range attributes {
		if start.Attr[i] != a {
			return fmt.Errorf("<%s> has not %s=%q", name, a.Name.Local, a.Value)
		}
	}
	return nil
}

func (p *parser) end(name string) error {
	token, err := p.next()
	if err != nil {
		return err
	}
	if end, ok := token.(xml.EndElement); !ok || end.Name.Local != name {
		return fmt.Errorf("%s where </%s> is expected", describe(token), name)
	}
	return nil
}

// next is the next token that is not white space.
func (p *parser) next() (xml.Token, error) {
	for {
		token, err := p.tokens.Token()
		if err != nil {
			return nil, err
		}
		if text, ok := token.(xml.CharData); !ok || strings.TrimSpace(string(text)) != "" {
			return token, nil
		}
	}
}

func describe(token xml.Token) string {
	switch token := token.(type) {
	case xml.StartElement:
		return "<" + token.Name.Local + ">"
	case xml.EndElement:
		return "</" + token.Name.Local + ">"
	default:
		return fmt.Sprintf("%T", token)
	}
}

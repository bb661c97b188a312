package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// maxElements bounds the memory that a document of the largest size can take.
const maxElements = 50_000

var (
	errElements = errors.New("it has too many elements")
	errEmpty    = errors.New("it has no element")
)

// element is a node of a document. Names are local: devices choose prefixes as they please. A nil element has no children and no text.
type element struct {
	name       string
	attributes []xml.Attr
	text       string
	inner      []byte // what stands between the tags, as it was sent
	children   []*element
}

// parse reads a document within bounds.
func parse(document []byte) (*element, error) {
	p := &parser{document: document, guard: guard{in: xml.NewDecoder(bytes.NewReader(document))}}
	root := &element{}
	if err := p.inside(root); err != nil {
		return nil, err
	}
	switch len(root.children) {
	case 0:
		return nil, errEmpty
	case 1:
		return root.children[0], nil
	}
	return nil, errTrailing
}

type parser struct {
	guard
	document []byte
	elements int
}

// inside reads what is inside of an element up to its end tag, or the whole document. It recurses no deeper than the guard lets it.
func (p *parser) inside(parent *element) error {
	var text strings.Builder
	begin := p.in.InputOffset()
	for {
		end := p.in.InputOffset()
		token, err := p.Token()
		if errors.Is(err, io.EOF) {
			return nil // the decoder reports an element that is not closed as a fault of syntax
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if p.elements++; p.elements > maxElements {
				return errElements
			}
			child := &element{name: t.Name.Local, attributes: t.Attr}
			parent.children = append(parent.children, child)
			if err := p.inside(child); err != nil {
				return err
			}
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			parent.text, parent.inner = text.String(), p.document[begin:end]
			return nil
		}
	}
}

// child returns the first child of that name, nil if there is none.
func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (e *element) attribute(name string) string {
	for _, a := range e.attributes {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// value is the text of an element, or the XML inside of it.
func (e *element) value() string {
	if len(e.children) > 0 {
		return string(bytes.TrimSpace(e.inner))
	}
	return e.text
}

package windows

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxDepth is far above any message of the protocols.
const maxDepth = 32

// element is an XML element. One that is written has its prefix in Local and declares namespaces by attributes; one that was read has its
// namespace in Space. Mixed content is not kept: the protocols have none.
type element struct {
	xml.Name
	attrs    []xml.Attr
	text     string
	children []*element
}

// tag makes an element to write: a string is its text, an xml.Attr an attribute, an *element a child (nil is left out).
func tag(name string, parts ...any) *element {
	e := &element{Name: xml.Name{Local: name}}
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			e.text = p
		case xml.Attr:
			e.attrs = append(e.attrs, p)
		case *element:
			if p != nil {
				e.children = append(e.children, p)
			}
		case []*element:
			e.children = append(e.children, p...)
		}
	}
	return e
}

func attr(name, value string) xml.Attr { return xml.Attr{Name: xml.Name{Local: name}, Value: value} }

// document encodes an element as a whole document.
func (e *element) document() []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e.write(&b)
	return b.Bytes()
}

func (e *element) write(b *bytes.Buffer) {
	b.WriteString("<" + e.Local)
	for _, a := range e.attrs {
		b.WriteString(" " + a.Name.Local + `="` + escape(a.Value) + `"`)
	}
	if e.text == "" && len(e.children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteString(">" + escape(e.text))
	for _, c := range e.children {
		c.write(b)
	}
	b.WriteString("</" + e.Local + ">")
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder does not fail
	return b.String()
}

// parse reads a document. Windows takes no document type definition and no processing instruction but the XML declaration.
func parse(document []byte) (*element, error) {
	decoder := xml.NewDecoder(bytes.NewReader(document))
	root := &element{}
	open := []*element{root}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("parsing XML: %w", err)
		}
		if open, err = grow(open, token); err != nil {
			return nil, fmt.Errorf("parsing XML: %w", err)
		}
	}
	if len(root.children) != 1 || strings.TrimSpace(root.text) != "" {
		return nil, errors.New("parsing XML: a document has one root element and no text outside it")
	}
	return root.children[0], nil
}

// grow applies a token to the stack of open elements.
func grow(open []*element, token xml.Token) ([]*element, error) {
	top := open[len(open)-1]
	switch t := token.(type) {
	case xml.StartElement:
		if len(open) > maxDepth {
			return nil, fmt.Errorf("elements are nested deeper than %d", maxDepth)
		}
		child := &element{Name: t.Name, attrs: t.Attr}
		top.children = append(top.children, child)
		return append(open, child), nil
	case xml.EndElement:
		return open[:len(open)-1], nil
	case xml.CharData:
		top.text += string(t)
	case xml.Directive:
		return nil, errors.New("a document type definition")
	case xml.ProcInst:
		if t.Target != "xml" {
			return nil, errors.New("a processing instruction")
		}
	}
	return open, nil
}

// child returns the first child with this local name, nil without one. A nil element has no children.
func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.Local == name {
			return c
		}
	}
	return nil
}

// at follows a path of local names, separated by slashes.
func (e *element) at(path string) *element {
	for name := range strings.SplitSeq(path, "/") {
		e = e.child(name)
	}
	return e
}

// path is at without regard to upper and lower case.
func (e *element) path(path string) *element {
	for name := range strings.SplitSeq(path, "/") {
		at := -1
		if e != nil {
			at = slices.IndexFunc(e.children, func(c *element) bool { return strings.EqualFold(c.Local, name) })
		}
		if at < 0 {
			return nil
		}
		e = e.children[at]
	}
	return e
}

// all returns the children with this local name.
func (e *element) all(name string) []*element {
	if e == nil {
		return nil
	}
	var found []*element
	for _, c := range e.children {
		if c.Local == name {
			found = append(found, c)
		}
	}
	return found
}

// trimmed is the text without white space around it, empty for nil.
func (e *element) trimmed() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.text)
}

// value is the text at a path, trimmed.
func (e *element) value(path string) string { return e.at(path).trimmed() }

// attr is the attribute with this local name, empty without one.
func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// inOrder says whether the children are known ones in the order of the names, as a DTD's sequence wants them. Names may repeat.
func (e *element) inOrder(names ...string) error {
	next := 0
	for _, c := range e.children {
		at := indexFrom(names, next, c.Local)
		if at < 0 {
			return fmt.Errorf("<%s> in <%s> is unknown or out of order (%s)", c.Local, e.Local, strings.Join(names, ", "))
		}
		next = at
	}
	return nil
}

func indexFrom(names []string, from int, name string) int {
	for i := from; i < len(names); i++ {
		if names[i] == name {
			return i
		}
	}
	return -1
}

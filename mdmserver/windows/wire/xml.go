package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
)

// MaxDepth is how deeply elements may nest. A SOAP message with an XML signature reaches eight, as does SyncML; a value may be XML of its own.
const MaxDepth = 32

var (
	errDepth     = errors.New("its elements nest too deeply")
	errDirective = errors.New("it has a document type or a processing instruction")
	errTrailing  = errors.New("it has more than one root element")
)

// guard passes tokens on until one is of a kind, or at a depth, that no client sends. Without document types there are no entities but XML's own five,
// so that none can expand.
type guard struct {
	in    *xml.Decoder
	depth int
}

func (g *guard) Token() (xml.Token, error) {
	token, err := g.in.Token()
	if syntax := (*xml.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, fmt.Errorf("line %d is no well-formed XML", syntax.Line) // its words quote the message, and so a token or a password
	}
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case xml.StartElement:
		if g.depth++; g.depth > MaxDepth {
			return nil, errDepth
		}
	case xml.EndElement:
		g.depth--
	case xml.Directive:
		return nil, errDirective
	case xml.ProcInst:
		if t.Target != "xml" {
			return nil, errDirective
		}
	}
	return token, nil
}

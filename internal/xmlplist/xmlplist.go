// Package xmlplist decodes untrusted property lists within bounds: XML only, and no deeper than any device, command or profile needs.
package xmlplist

import (
	"bytes"
	"encoding/xml"
	"errors"

	"github.com/micromdm/plist"
)

// MaxDepth is how deeply elements may nest, the plist element included. Apple's deepest answers stay below ten.
const MaxDepth = 32

// The ways in which a property list is refused.
var (
	ErrBinary = errors.New("binary property lists are not accepted; send XML")
	ErrDepth  = errors.New("the property list is nested too deeply")
)

// Check refuses what a recursive decoder must not see: ErrBinary or ErrDepth. It says nothing about the rest of the syntax; a decoder
// that fails does so before it has read deeper than what was checked.
func Check(data []byte) error {
	if bytes.HasPrefix(data, []byte("bplist")) {
		return ErrBinary
	}
	tokens := xml.NewDecoder(bytes.NewReader(data))
	depth := 0
	for token, err := tokens.RawToken(); err == nil; token, err = tokens.RawToken() {
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > MaxDepth {
			return ErrDepth
		}
	}
	return nil // the end, or a fault at which the decoder will stop as well
}

// Unmarshal decodes checked data into v.
func Unmarshal(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	return plist.Unmarshal(data, v)
}

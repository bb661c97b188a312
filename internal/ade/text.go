package ade

import (
	"bytes"
	"encoding/json"
)

// text is a string of Apple's. A number or anything else in its place is kept as it is written, since one field of one device that is not as
// documented must not cost the whole list.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	switch {
	case bytes.Equal(raw, []byte("null")):
		*t = ""
	case json.Unmarshal(raw, &s) == nil:
		*t = text(s)
	default:
		*t = text(raw)
	}
	return nil
}

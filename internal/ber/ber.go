// Package ber rewrites untrusted BER as DER within bounds, so that CMS parsers that recurse over their input, slice by its lengths
// and trust its shape only ever see what they expect.
package ber

import "errors"

// MaxDepth is how deeply constructed values may nest. A CMS message with certificates in it reaches about a dozen.
const MaxDepth = 32

// The ways in which input is refused.
var (
	ErrTruncated = errors.New("ber: a value ends outside of its parent")
	ErrDepth     = errors.New("ber: nested too deeply")
	ErrTag       = errors.New("ber: a tag or length form that CMS does not use")
)

const (
	constructed = 0x20
	highTag     = 0x1f
	indefinite  = -1
)

// Normalize returns the first value of in with every length definite and minimal (X.690, section 10.1). What follows the value is
// dropped, as other CMS readers do. The error is one of the package's.
func Normalize(in []byte) ([]byte, error) {
	der, _, err := value(in, 0)
	return der, err
}

func value(in []byte, depth int) (der, rest []byte, err error) {
	if depth > MaxDepth {
		return nil, nil, ErrDepth
	}
	tag, length, in, err := header(in)
	if err != nil {
		return nil, nil, err
	}
	if length == indefinite {
		content, rest, err := open(in, depth)
		return encode(tag, content), rest, err
	}
	if length > len(in) {
		return nil, nil, ErrTruncated
	}
	content, rest := in[:length], in[length:]
	if tag&constructed != 0 {
		if content, err = children(content, depth); err != nil {
			return nil, nil, err
		}
	}
	return encode(tag, content), rest, nil
}

// children rewrites all of in.
func children(in []byte, depth int) (content []byte, err error) {
	for len(in) > 0 {
		var child []byte
		if child, in, err = value(in, depth+1); err != nil {
			return nil, err
		}
		content = append(content, child...)
	}
	return content, nil
}

// open rewrites values up to the end-of-contents octets (X.690, section 8.1.5).
func open(in []byte, depth int) (content, rest []byte, err error) {
	for {
		if len(in) < 2 {
			return nil, nil, ErrTruncated
		}
		if in[0] == 0 && in[1] == 0 {
			return content, in[2:], nil
		}
		var child []byte
		if child, in, err = value(in, depth+1); err != nil {
			return nil, nil, err
		}
		content = append(content, child...)
	}
}

// header reads a low-form tag and a length of at most four octets.
func header(in []byte) (tag byte, length int, rest []byte, err error) {
	if len(in) < 2 {
		return 0, 0, nil, ErrTruncated
	}
	tag, first, in := in[0], in[1], in[2:]
	if tag&highTag == highTag {
		return 0, 0, nil, ErrTag
	}
	if first < 0x80 {
		return tag, int(first), in, nil
	}
	octets := int(first & 0x7f)
	switch {
	case octets == 0 && tag&constructed != 0:
		return tag, indefinite, in, nil
	case octets == 0 || octets > 4:
		return 0, 0, nil, ErrTag
	case octets > len(in):
		return 0, 0, nil, ErrTruncated
	}
	var n uint64
	for _, b := range in[:octets] {
		n = n<<8 | uint64(b)
	}
	in = in[octets:]
	if n > uint64(len(in)) {
		return 0, 0, nil, ErrTruncated
	}
	return tag, int(n), in, nil
}

func encode(tag byte, content []byte) []byte {
	n := len(content)
	out := make([]byte, 0, n+6)
	if n < 0x80 {
		return append(append(out, tag, byte(n)), content...)
	}
	octets := 0
	for rest := n; rest > 0; rest >>= 8 {
		octets++
	}
	out = append(out, tag, 0x80|byte(octets))
	for shift := 8 * (octets - 1); shift >= 0; shift -= 8 {
		out = append(out, byte(n>>shift))
	}
	return append(out, content...)
}

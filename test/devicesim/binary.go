package devicesim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"unicode/utf16"
)

// Markers of the binary property list format (CoreFoundation, CFBinaryPList.c): the type in the upper half, the length in the lower.
const (
	binaryTrue   = 0x09
	binaryFalse  = 0x08
	binaryInt64  = 0x13
	binaryData   = 0x40
	binaryASCII  = 0x50
	binaryUTF16  = 0x60
	binaryArray  = 0xA0
	binaryDict   = 0xD0
	binaryLength = 0x0F // the length follows as an integer object
	offsetSize   = 4
)

// EncodeBinary encodes a message as a binary property list, which Apple devices never send but an attacker may. It knows strings, data,
// booleans, integers, lists of any and dictionaries of any.
func EncodeBinary(message map[string]any) ([]byte, error) {
	w := &binaryWriter{}
	top, err := w.add(message)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBufferString("bplist00")
	var offsets []uint32
	for _, object := range w.objects {
		offsets = append(offsets, uint32(out.Len()))
		out.Write(object)
	}
	table := uint64(out.Len())
	for _, offset := range offsets {
		out.Write(binary.BigEndian.AppendUint32(nil, offset))
	}
	trailer := make([]byte, 6, 32)
	trailer = append(trailer, offsetSize, offsetSize)
	for _, field := range []uint64{uint64(len(w.objects)), uint64(top), table} {
		trailer = binary.BigEndian.AppendUint64(trailer, field)
	}
	out.Write(trailer)
	return out.Bytes(), nil
}

type binaryWriter struct{ objects [][]byte }

// add encodes a value after what it contains and returns its number.
func (w *binaryWriter) add(value any) (uint32, error) {
	var object []byte
	switch v := value.(type) {
	case bool:
		object = []byte{binaryFalse}
		if v {
			object = []byte{binaryTrue}
		}
	case int:
		object = binary.BigEndian.AppendUint64([]byte{binaryInt64}, uint64(v))
	case []byte:
		object = append(header(binaryData, len(v)), v...)
	case string:
		object = text(v)
	case []any:
		references, err := w.addAll(v)
		if err != nil {
			return 0, err
		}
		object = append(header(binaryArray, len(v)), references...)
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		var keys, values []any
		for _, name := range names {
			keys, values = append(keys, name), append(values, v[name])
		}
		references, err := w.addAll(append(keys, values...))
		if err != nil {
			return 0, err
		}
		object = append(header(binaryDict, len(v)), references...)
	default:
		return 0, fmt.Errorf("encoding binary plist: %T is not known", value)
	}
	w.objects = append(w.objects, object)
	return uint32(len(w.objects) - 1), nil
}

func (w *binaryWriter) addAll(values []any) (references []byte, err error) {
	for _, value := range values {
		number, err := w.add(value)
		if err != nil {
			return nil, err
		}
		references = binary.BigEndian.AppendUint32(references, number)
	}
	return references, nil
}

func text(s string) []byte {
	units := utf16.Encode([]rune(s))
	if len(units) == len(s) { // every unit is one byte: ASCII
		return append(header(binaryASCII, len(s)), s...)
	}
	object := header(binaryUTF16, len(units))
	for _, unit := range units {
		object = binary.BigEndian.AppendUint16(object, unit)
	}
	return object
}

func header(marker byte, length int) []byte {
	if length < binaryLength {
		return []byte{marker | byte(length)}
	}
	return binary.BigEndian.AppendUint64([]byte{marker | binaryLength, binaryInt64}, uint64(length))
}

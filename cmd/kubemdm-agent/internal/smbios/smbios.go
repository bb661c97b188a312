// Package smbios reads what names a machine from its SMBIOS tables (DMTF DSP0134). It does no I/O.
package smbios

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// System is the System Information structure (DSP0134 section 7.2). A text that the machine does not give is empty.
type System struct {
	Manufacturer, Product, Serial string
	// UUID is in upper case as Windows prints it; empty if the machine has none.
	UUID string
}

const (
	// headerSize is that of RawSMBIOSData, which GetSystemFirmwareTable puts before the tables: calling method, major and minor version, DMI
	// revision, and the length of the tables in 4 bytes.
	headerSize = 8

	typeSystem = 1
	typeEnd    = 127

	// Offsets in the formatted area of System Information.
	offManufacturer = 4
	offProduct      = 5
	offSerial       = 7
	offUUID         = 8
	sizeUUID        = 16
)

var (
	errTruncated = errors.New("the SMBIOS tables are truncated")
	errNoSystem  = errors.New("the SMBIOS tables have no System Information")
)

// Parse reads raw, which is a RawSMBIOSData as GetSystemFirmwareTable('RSMB') returns it.
func Parse(raw []byte) (System, error) {
	if len(raw) < headerSize {
		return System{}, errTruncated
	}
	tables := raw[headerSize:]
	if size := uint64(binary.LittleEndian.Uint32(raw[4:])); size < uint64(len(tables)) {
		tables = tables[:size]
	}
	for len(tables) > 0 {
		formatted, texts, rest, err := next(tables)
		if err != nil {
			return System{}, err
		}
		switch formatted[0] {
		case typeSystem:
			return system(formatted, texts), nil
		case typeEnd:
			return System{}, errNoSystem
		}
		tables = rest
	}
	return System{}, errNoSystem
}

// next cuts one structure into its formatted area and its texts, which end with an empty one (DSP0134 section 6.1.3).
func next(tables []byte) (formatted []byte, texts [][]byte, rest []byte, err error) {
	const shortest = 4 // type, length and handle
	if len(tables) < shortest || tables[1] < shortest || int(tables[1]) > len(tables) {
		return nil, nil, nil, errTruncated
	}
	formatted, tables = tables[:tables[1]], tables[tables[1]:]
	end := bytes.Index(tables, []byte{0, 0})
	if end < 0 {
		return nil, nil, nil, errTruncated
	}
	return formatted, bytes.Split(tables[:end], []byte{0}), tables[end+2:], nil
}

func system(formatted []byte, texts [][]byte) System {
	text := func(offset int) string {
		if offset >= len(formatted) {
			return ""
		}
		number := int(formatted[offset]) // from 1 on; 0 is none
		if number == 0 || number > len(texts) {
			return ""
		}
		return strings.TrimSpace(strings.ToValidUTF8(string(texts[number-1]), ""))
	}
	s := System{Manufacturer: text(offManufacturer), Product: text(offProduct), Serial: text(offSerial)}
	if len(formatted) >= offUUID+sizeUUID {
		s.UUID = uuid(formatted[offUUID : offUUID+sizeUUID])
	}
	return s
}

// uuid prints a UUID whose first three fields are little-endian (DSP0134 section 7.2.1). All zeros or all ones stand for none.
func uuid(b []byte) string {
	if len(bytes.Trim(b, "\x00")) == 0 || len(bytes.Trim(b, "\xff")) == 0 {
		return ""
	}
	text := fmt.Sprintf("%08x-%04x-%04x-%s-%s",
		binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), hex.EncodeToString(b[8:10]), hex.EncodeToString(b[10:]))
	return strings.ToUpper(text)
}

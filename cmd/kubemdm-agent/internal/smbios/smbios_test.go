package smbios_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/smbios"
)

// uuid as it lies in memory, and as Windows prints it.
const (
	uuid    = "\x44\x45\x4c\x4c\x51\x00\x10\x35\x80\x46\xb4\xc0\x4f\x33\x32\x32"
	printed = "4C4C4544-0051-3510-8046-B4C04F333232"
)

// raw puts the header of GetSystemFirmwareTable before structures.
func raw(structures ...string) []byte {
	tables := strings.Join(structures, "")
	header := binary.LittleEndian.AppendUint32([]byte{0, 3, 3, 0}, uint32(len(tables)))
	return append(header, tables...)
}

// Structures: type, length, handle, formatted area, texts.
const (
	bios   = "\x00\x06\x00\x00\x01\x02" + "Vendor\x00Version\x00\x00"
	system = "\x01\x1b\x01\x00\x01\x02\x00\x03" + uuid + "\x06\x00\x00" + "LENOVO\x00 ThinkPad \x00PF0ABC\x00\x00"
	plain  = "\x7e\x04\x02\x00\x00\x00" // no texts
	end    = "\x7f\x04\x03\x00\x00\x00"
)

func TestParse(t *testing.T) {
	full := smbios.System{Manufacturer: "LENOVO", Product: "ThinkPad", Serial: "PF0ABC", UUID: printed}
	for name, tc := range map[string]struct {
		raw  []byte
		want smbios.System
	}{
		"first":           {raw(system, end), full},
		"after others":    {raw(bios, plain, system, end), full},
		"without an end":  {raw(bios, system), full},
		"bytes behind":    {append(raw(system), "rubbish"...), full},
		"SMBIOS 2.0":      {raw("\x01\x08\x01\x00\x01\x02\x00\x03" + "LENOVO\x00ThinkPad\x00PF0ABC\x00\x00"), smbios.System{Manufacturer: "LENOVO", Product: "ThinkPad", Serial: "PF0ABC"}},
		"no texts":        {raw("\x01\x1b\x01\x00\x00\x00\x00\x00" + uuid + "\x06\x00\x00" + "\x00\x00"), smbios.System{UUID: printed}},
		"missing text":    {raw("\x01\x08\x01\x00\x01\x09\x00\x00" + "LENOVO\x00\x00"), smbios.System{Manufacturer: "LENOVO"}},
		"UUID of zeros":   {raw("\x01\x18\x01\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 16) + "\x00\x00"), smbios.System{}},
		"UUID of ones":    {raw("\x01\x18\x01\x00\x00\x00\x00\x00" + strings.Repeat("\xff", 16) + "\x00\x00"), smbios.System{}},
		"text in no UTF8": {raw("\x01\x08\x01\x00\x00\x00\x00\x01" + "PF\xff0\x00\x00"), smbios.System{Serial: "PF0"}},
	} {
		if got, err := smbios.Parse(tc.raw); err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tc.want)
		}
	}
}

func TestWhatIsNoTableIsRefused(t *testing.T) {
	for name, bad := range map[string][]byte{
		"nothing":               nil,
		"half a header":         {0, 3, 3},
		"no structure":          raw(),
		"no system":             raw(bios, end),
		"system after the end":  raw(end, system),
		"half a structure":      raw(system[:10]),
		"a length of nothing":   raw("\x01\x00\x00\x00\x00\x00"),
		"texts without an end":  raw(system[:len(system)-2]),
		"a length that is less": append(binary.LittleEndian.AppendUint32([]byte{0, 3, 3, 0}, 3), system...),
	} {
		if got, err := smbios.Parse(bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(bios, plain, system, end))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := smbios.Parse(b)
		if err != nil && s != (smbios.System{}) {
			t.Errorf("%+v beside %v", s, err)
		}
		if s.UUID != "" && len(s.UUID) != len(printed) {
			t.Errorf("UUID %q", s.UUID)
		}
	})
}

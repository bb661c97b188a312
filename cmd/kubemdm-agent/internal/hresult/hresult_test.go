package hresult_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/hresult"
)

func TestACodeIsToldInWords(t *testing.T) {
	for code, want := range map[hresult.Code]string{
		0x80180001: "0x80180001: the server found the enrolment message malformed",
		0x80180002: "node key",
		0x80180006: "internal error",
		0x8018000A: "enrolled already",
		0x8018000B: "nothing to leave",
		0x80180010: "cannot be reached",
		0x80180012: "does not trust the server's certificate",
		0x80180017: "maintenance",
		0x80180032: "a message of its own",
		0x80010106: "COM",
		0x80072F8F: "clock",
		0x80072EE7: "resolved",
		0x80190194: "0x80190194: the server answered with HTTP status 404",
		0x801901F7: "HTTP status 503",
		0x801900C8: "nothing that Windows understands",
		0x80190000: "does not know",
		0x80190400: "does not know",
		0x80004005: "0x80004005: an error that the agent does not know",
	} {
		if got := code.Error(); !strings.Contains(got, want) {
			t.Errorf("%08X: %q does not say %q", uint32(code), got, want)
		}
	}
}

func TestOnlyZeroIsSuccess(t *testing.T) {
	if err := hresult.OK.Err(); err != nil {
		t.Error(err)
	}
	if err := hresult.AlreadyEnrolled.Err(); !errors.Is(err, hresult.AlreadyEnrolled) {
		t.Error(err)
	}
}

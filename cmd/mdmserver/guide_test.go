package main_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const guide = "../../docs/guides/mdmserver-alone.md"

// programs are what the guide tells to install.
var programs = []string{"./cmd/mdmserver", "./test/apnsfake/cmd/apnsfake", "./test/devicesim/cmd/devicesim"}

// Every command of the guide must work as it stands. Only the ports are changed, so that the test disturbs nobody.
func TestTheGuideIsTrue(t *testing.T) {
	page, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	// Job control gives each program in the background a number, as in a terminal.
	script.WriteString("set -meuo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n")
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		script.WriteString(block[1])
	}
	commands := script.String()
	for _, port := range []string{"8443", "9443", "8081", "2197", "2198"} {
		commands = strings.ReplaceAll(commands, "localhost:"+port, "localhost:"+freePort(t))
	}

	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", bin}, programs...)...)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), "bash", "-c", commands)
	run.Dir = t.TempDir()
	run.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("the commands of the guide failed: %v\n%s", err, out)
	}
	for _, want := range []string{`"serialNumber":"ALONE`, `"Succeeded":1`, "<key>PayloadIdentifier</key>", `"msg":"stopping"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %s:\n%s", want, out)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

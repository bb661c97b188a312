package enroll_test

import (
	"strings"
	"testing"

	qrcode "github.com/skip2/go-qrcode"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/enroll"
)

// modules reads the code back from what a terminal shows: true is dark. ink says whether letters are dark.
func modules(lines []string, ink bool) [][]bool {
	var rows [][]bool
	for _, line := range lines {
		var upper, lower []bool
		for _, sign := range line {
			upper, lower = append(upper, (sign == '█' || sign == '▀') == ink), append(lower, (sign == '█' || sign == '▄') == ink)
		}
		rows = append(rows, upper, lower)
	}
	return rows
}

// The code is dark on light, on a terminal of any colours.
func TestQRCode(t *testing.T) {
	code, err := qrcode.New(address, qrcode.Low)
	if err != nil {
		t.Fatal(err)
	}
	want := code.Bitmap()
	for _, colour := range []bool{false, true} {
		w := world(t)
		w.Colour = colour
		w.WantError(w.Run(enroll.Command, "--platform", "Apple"))
		var lines []string
		for line := range strings.Lines(w.Out.String()) {
			line = strings.TrimSuffix(line, "\n")
			inner, black := strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
			if colour && black {
				lines = append(lines, strings.TrimSuffix(inner, "\x1b[0m"))
			}
			if !colour && strings.Trim(line, "█▀▄ ") == "" && line != "" {
				lines = append(lines, line)
			}
		}
		got := modules(lines, colour)
		if len(got) != (len(want)+1)/2*2 {
			t.Fatalf("colour %v: %d rows, want %d", colour, len(got), len(want))
		}
		for y := range want {
			for x := range want[y] {
				if got[y][x] != want[y][x] {
					t.Fatalf("colour %v: another module at %d, %d", colour, x, y)
				}
			}
		}
	}
}

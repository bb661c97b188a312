package enroll

import (
	"strings"

	qrcode "github.com/skip2/go-qrcode"
)

const (
	// ink is black on white whatever colours the terminal has: cameras want dark on light.
	ink = "\x1b[38;5;16;48;5;231m"
	// reset gives the terminal its colours back.
	reset = "\x1b[0m"
)

// qr draws a QR code with half blocks, two rows of it in each line. Without colours it is drawn for a dark terminal, whose letters are the light.
func qr(content string, colour bool) (string, error) {
	code, err := qrcode.New(content, qrcode.Low)
	if err != nil {
		return "", err
	}
	bits := code.Bitmap() // true is dark, with the quiet zone around it
	dark := func(y, x int) bool { return y < len(bits) && bits[y][x] }
	var b strings.Builder
	for y := 0; y < len(bits); y += 2 {
		if colour {
			b.WriteString(ink)
		}
		for x := range bits[y] {
			upper, lower := dark(y, x), dark(y+1, x)
			if !colour { // letters are light
				upper, lower = !upper, !lower
			}
			b.WriteString(block(upper, lower))
		}
		if colour {
			b.WriteString(reset)
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

func block(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}

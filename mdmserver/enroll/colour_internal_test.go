package enroll

import (
	"fmt"
	"testing"
)

// Whatever colour a company has, its buttons and links can be read by day and by night. One that can be read already stays as it is.
func TestAnyColourCanBeRead(t *testing.T) {
	for name, c := range map[string]struct{ given, light, dark string }{
		"dark blue":  {"#0b57d0", "#0b57d0", "#5288de"},
		"white":      {"#ffffff", "#707070", "#ffffff"},
		"black":      {"#000000", "#000000", "#8a8a8a"},
		"yellow":     {"#ffd400", "#856e00", "#ffd400"},
		"mid grey":   {"#808080", "#6f6f6f", "#888888"},
		"pale green": {"#90ee90", "#497949", "#90ee90"},
	} {
		t.Run(name, func(t *testing.T) {
			given := opaque(c.given)
			if got := [2]string{light.readable(given).String(), dark.readable(given).String()}; got != [2]string{c.light, c.dark} {
				t.Errorf("got %v, want %s and %s", got, c.light, c.dark)
			}
		})
	}
	for bits := 0; bits < 1<<24; bits += 40503 { // a few hundred of all colours
		given := opaque(fmt.Sprintf("#%06x", bits))
		for _, s := range []scheme{light, dark} {
			if got := s.contrast(s.readable(given)); got < minContrast {
				t.Errorf("%s is shown with a contrast of %.2f", given, got)
			}
		}
		// The text on a button has the colour of the surface that is hardest to read on: white by day, the ground at night.
		if a, b := contrast(light.readable(given), opaque("#ffffff")), contrast(dark.readable(given), opaque("#14171b")); min(a, b) < minContrast {
			t.Errorf("the text on a button of %s has a contrast of %.2f and %.2f", given, a, b)
		}
	}
}

func TestContrastIsThatOfTheGuidelines(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want string
	}{{"#000000", "#ffffff", "21.00"}, {"#ffffff", "#ffffff", "1.00"}, {"#777777", "#ffffff", "4.48"}, {"#ff0000", "#ffffff", "4.00"}} {
		if got := fmt.Sprintf("%.2f", contrast(opaque(c.a), opaque(c.b))); got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

func TestAColourIsHexadecimal(t *testing.T) {
	for _, bad := range []string{"", "#", "red", "#fff", "#gggggg", "0b57d0", "#0b57d00", "+0b57d0"} {
		if _, err := parseColour(bad); err == nil {
			t.Errorf("%q is taken as a colour", bad)
		}
	}
}

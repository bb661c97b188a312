package enroll

import (
	"fmt"
	"math"
	"strconv"
)

// defaultColour is that of buttons and links of a server without one of its own.
const defaultColour = "#0b57d0"

// minContrast is that of text to what is behind it (Web Content Accessibility Guidelines 2.2, 1.4.3, level AA).
const minContrast = 4.5

// rgb is a colour in sRGB; each part is from 0 to 1.
type rgb [3]float64

// scheme is one of the two looks of the page. The stylesheet has the same colours.
type scheme struct {
	// surfaces are what lies behind links and around buttons.
	surfaces []rgb
	// far is where a colour is moved that cannot be read on the surfaces.
	far rgb
}

var (
	light = scheme{surfaces: []rgb{opaque("#f4f5f7"), opaque("#ffffff")}, far: rgb{0, 0, 0}}
	dark  = scheme{surfaces: []rgb{opaque("#14171b"), opaque("#1e2227")}, far: rgb{1, 1, 1}}
)

// readable is the colour itself if it can be read on all surfaces, or the nearest mixture with the far end that can.
func (s scheme) readable(c rgb) rgb {
	for i := range 101 {
		if mixed := c.mix(s.far, float64(i)/100).rounded(); s.contrast(mixed) >= minContrast {
			return mixed
		}
	}
	return s.far
}

// contrast is that to the surface on which the colour is read worst.
func (s scheme) contrast(c rgb) float64 {
	worst := math.Inf(1)
	for _, surface := range s.surfaces {
		worst = min(worst, contrast(c, surface))
	}
	return worst
}

// contrast is the ratio of two colours (WCAG 2.2, "contrast ratio").
func contrast(a, b rgb) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is the relative luminance (WCAG 2.2, "relative luminance").
func (c rgb) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

func (c rgb) mix(other rgb, share float64) rgb {
	var mixed rgb
	for i := range mixed {
		mixed[i] = c[i] + (other[i]-c[i])*share
	}
	return mixed
}

// rounded is the colour as eight bits a part hold it.
func (c rgb) rounded() rgb {
	for i := range c {
		c[i] = math.Round(c[i]*255) / 255
	}
	return c
}

func (c rgb) String() string {
	return fmt.Sprintf("#%02x%02x%02x", int(math.Round(c[0]*255)), int(math.Round(c[1]*255)), int(math.Round(c[2]*255)))
}

// parseColour reads #rrggbb.
func parseColour(s string) (rgb, error) {
	bits, err := strconv.ParseUint(s[min(1, len(s)):], 16, 24)
	if err != nil || len(s) != 7 || s[0] != '#' {
		return rgb{}, fmt.Errorf("%q is no colour: give #rrggbb", s)
	}
	return rgb{float64(bits>>16) / 255, float64(bits>>8&0xff) / 255, float64(bits&0xff) / 255}, nil
}

// opaque is parseColour for colours of the program.
func opaque(s string) rgb {
	c, err := parseColour(s)
	if err != nil {
		panic(err)
	}
	return c
}

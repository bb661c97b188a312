package serverconfig_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const svg = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>`

func TestLogoTypeLooksIntoTheImage(t *testing.T) {
	var asPNG, asJPEG bytes.Buffer
	dot := image.NewGray(image.Rect(0, 0, 2, 2))
	if err := png.Encode(&asPNG, dot); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&asJPEG, dot, nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ content, want, wrong string }{
		"SVG":                     {svg, "image/svg+xml", ""},
		"PNG":                     {asPNG.String(), "image/png", ""},
		"JPEG":                    {asJPEG.String(), "image/jpeg", ""},
		"SVG with a comment":      {"<!-- drawn by hand -->\n" + svg, "image/svg+xml", ""},
		"nothing":                 {"", "", "empty"},
		"a page":                  {"<!doctype html><html><svg></svg></html>", "", "no SVG, PNG or JPEG"},
		"svg of another language": {`<svg xmlns="urn:x"/>`, "", "no SVG, PNG or JPEG"},
		"svg of no language":      {`<svg/>`, "", "no SVG, PNG or JPEG"},
		"svg that is cut off":     {svg[:len(svg)-3], "", "no SVG, PNG or JPEG"},
		"PNG in name only":        {"\x89PNG\r\n\x1a\n and nothing more", "", "no SVG, PNG or JPEG"},
		"GIF":                     {"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "", "no SVG, PNG or JPEG"},
		"text":                    {"logo", "", "no SVG, PNG or JPEG"},
		"entities":                {`<!DOCTYPE svg [<!ENTITY a "b">]>` + svg[21:], "", "entities"},
		"too deep": {`<svg xmlns="http://www.w3.org/2000/svg">` + strings.Repeat("<g>", 70) + strings.Repeat("</g>", 70) + "</svg>",
			"", "deeper"},
		"too large": {svg + strings.Repeat(" ", serverconfig.MaxLogo), "", "at most 262144"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := serverconfig.LogoType([]byte(c.content))
			if got != c.want || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func FuzzLogoType(f *testing.F) {
	f.Add([]byte(svg))
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := serverconfig.LogoType(content)
		if (got == "") != (err != nil) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

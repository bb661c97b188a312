package serverconfig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // a logo may be one
	_ "image/png"
	"io"
)

// LogoFile is the logo of the enrolment page in its folder.
const LogoFile = "logo"

// MaxLogo bounds a logo, in bytes.
const MaxLogo = 256 << 10

// maxLogoDepth bounds how deep the elements of an SVG are nested.
const maxLogoDepth = 64

const svgNamespace = "http://www.w3.org/2000/svg"

// Media types of logos.
const (
	typeSVG  = "image/svg+xml"
	typePNG  = "image/png"
	typeJPEG = "image/jpeg"
)

var errNoImage = errors.New("it is no SVG, PNG or JPEG image")

// LogoType looks into an image, whatever its name says, and returns its media type. The error says what is wrong with it.
func LogoType(content []byte) (string, error) {
	if len(content) == 0 {
		return "", errors.New("it is empty")
	}
	if len(content) > MaxLogo {
		return "", fmt.Errorf("it has %d bytes, and at most %d are allowed", len(content), MaxLogo)
	}
	if _, format, err := image.DecodeConfig(bytes.NewReader(content)); err == nil {
		switch format {
		case "png":
			return typePNG, nil
		case "jpeg":
			return typeJPEG, nil
		}
		return "", errNoImage // another format that the program knows
	}
	if err := checkSVG(content); err != nil {
		return "", err
	}
	return typeSVG, nil
}

// checkSVG accepts a well-formed document whose root is an svg element. Scripts are not looked for: an image runs none.
func checkSVG(content []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	root, depth := false, 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && root {
			return nil
		}
		if err != nil {
			return errNoImage
		}
		switch t := token.(type) {
		case xml.Directive:
			err = checkDirective(t)
		case xml.StartElement:
			depth++
			err = checkElement(t, depth, root)
			root = true
		case xml.EndElement:
			depth--
		}
		if err != nil {
			return err
		}
	}
}

// checkDirective refuses entities, since they may grow without end.
func checkDirective(d xml.Directive) error {
	if bytes.Contains(d, []byte("ENTITY")) {
		return errors.New("it is an SVG image with entities of its own: save it without")
	}
	return nil
}

// checkElement judges an element; root is true if another one came before.
func checkElement(e xml.StartElement, depth int, root bool) error {
	if !root && (e.Name.Space != svgNamespace || e.Name.Local != "svg") {
		return errNoImage
	}
	if depth > maxLogoDepth {
		return fmt.Errorf("it is an SVG image with elements nested deeper than %d", maxLogoDepth)
	}
	return nil
}

// WindowsDeepLink opens, on a PC, the dialogue in which Windows enrols at a server ("Mobile device enrollment", Microsoft Learn: deep link).
func WindowsDeepLink(host string) string {
	return "ms-device-enrollment:?mode=mdm&servername=https://" + host + "/EnrollmentServer/Discovery.svc"
}

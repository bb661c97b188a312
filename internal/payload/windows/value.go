package windows

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// maxDepth is how deeply elements may nest, in a document and in a value.
const maxDepth = 32

// formats check a value and write it in the one way that is rendered. What is not listed is not a format.
var formats = map[v1alpha1.SettingFormat]func(string) (string, error){
	v1alpha1.FormatText:    func(s string) (string, error) { return s, nil },
	v1alpha1.FormatInteger: integer,
	v1alpha1.FormatBoolean: boolean,
	v1alpha1.FormatBase64:  encoded,
	v1alpha1.FormatBinary:  encoded,
	v1alpha1.FormatXML:     fragment,
	v1alpha1.FormatNode:    nothing,
	v1alpha1.FormatNull:    nothing,
	v1alpha1.FormatDate:    moment("date such as 2026-01-31", "2006-01-02", "20060102"),
	v1alpha1.FormatTime:    moment("time of day such as 13:45:00", "15:04:05", "15:04:05Z", "150405", "150405Z"),
	v1alpha1.FormatFloat:   float,
}

// write checks a value of a format and writes it as devices get it. No error repeats the value, which may be a secret.
func write(format v1alpha1.SettingFormat, value string) (string, error) {
	as, known := formats[format]
	if !known {
		return "", fmt.Errorf("there is no format %.32q", string(format))
	}
	if err := content.CheckText(value); err != nil {
		return "", err
	}
	if format != v1alpha1.FormatText {
		value = strings.TrimSpace(value)
	}
	return as(value)
}

// valueless says whether nodes of a format have no value to compare.
func valueless(format v1alpha1.SettingFormat) bool {
	return format == v1alpha1.FormatNode || format == v1alpha1.FormatNull
}

// integer takes the signed and the unsigned ones of 32 bits: nodes have both.
func integer(s string) (string, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxUint32 {
		return "", fmt.Errorf("it is no whole number from %d to %d", math.MinInt32, uint32(math.MaxUint32))
	}
	return strconv.FormatInt(n, 10), nil
}

func boolean(s string) (string, error) {
	if s != "true" && s != "false" {
		return "", errors.New("it is neither true nor false")
	}
	return s, nil
}

func encoded(s string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(s) // which skips line feeds
	if err != nil {
		return "", errors.New("it is no base64")
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

func nothing(s string) (string, error) {
	if s != "" {
		return "", errors.New("a node of the formats node and null has no value")
	}
	return "", nil
}

func float(s string) (string, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return "", errors.New("it is no number")
	}
	return s, nil
}

func moment(what string, layouts ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		fits := func(layout string) bool { _, err := time.Parse(layout, s); return err == nil }
		if !slices.ContainsFunc(layouts, fits) {
			return "", errors.New("it is no " + what)
		}
		return s, nil
	}
}

// fragment takes any number of well-formed elements, without a document type.
func fragment(s string) (string, error) {
	tokens, depth := xml.NewDecoder(strings.NewReader(s)), 0
	for {
		token, err := tokens.Token()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return "", errors.New("it is no well-formed XML")
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		case xml.Directive, xml.ProcInst:
			return "", errors.New("it holds a document type or a processing instruction, which no value needs")
		}
		if depth > maxDepth {
			return "", fmt.Errorf("it is nested more than %d deep", maxDepth)
		}
	}
}

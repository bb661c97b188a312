package fleet

import (
	"bytes"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
)

// sameValue says whether a device reads what was written, though it may write it in another way. format is that of the SyncML Meta.
func sameValue(format, wrote, reads string) bool {
	if len(reads) > 8*len(wrote)+4096 { // no way of writing takes so much more room
		return false
	}
	switch strings.ToLower(format) {
	case "bool":
		return sameParsed(wrote, reads, parseBool)
	case "int":
		return sameParsed(wrote, reads, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
	case "float":
		return sameParsed(wrote, reads, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	case "b64", "bin":
		return withoutSpace(wrote) == withoutSpace(reads)
	case "xml":
		return sameText(wrote, reads) || sameXML(wrote, reads)
	case "date", "time":
		return strings.TrimSpace(wrote) == strings.TrimSpace(reads)
	}
	return sameText(wrote, reads) || isADMX(wrote) && (sameXML(wrote, reads) || sameXML(wrote, html.UnescapeString(reads)))
}

// sameParsed compares values of a format with several spellings; what is none of them must be the same text.
func sameParsed[T comparable](a, b string, parse func(string) (T, error)) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	x, errA := parse(a)
	y, errB := parse(b)
	return a == b || errA == nil && errB == nil && x == y
}

var errNotBool = errors.New("not a bool")

// parseBool reads what OMA-DM calls a bool. Windows writes true and false, and some CSPs 1 and 0.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errNotBool
}

func withoutSpace(s string) string { return strings.Join(strings.Fields(s), "") }

// sameText compares texts in which line ends went through XML, which makes them all line feeds, and which may still be escaped as they were sent.
func sameText(wrote, reads string) bool {
	wrote, reads = lineFeeds(wrote), lineFeeds(reads)
	return wrote == reads || wrote == html.UnescapeString(reads)
}

func lineFeeds(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// fragment is a piece of XML in one way of writing.
type fragment struct {
	// elements are those at the top; in order of their text if it is the value of a policy that an ADMX file defines, since Windows orders those as it likes.
	elements []string
	admx     bool
	// open is the element in the making, depth that of the last token.
	open  strings.Builder
	depth int
}

// admxElements are those of such a value.
var admxElements = []string{"enabled", "disabled", "data"}

func isADMX(s string) bool {
	f, err := parseFragment(s)
	return err == nil && f.admx
}

// sameXML compares fragments without regard to how elements, attributes and white space between them are written.
func sameXML(wrote, reads string) bool {
	a, errA := parseFragment(wrote)
	b, errB := parseFragment(reads)
	return errA == nil && errB == nil && slices.Equal(a.elements, b.elements)
}

var errNotFragment = errors.New("not a fragment of XML")

func parseFragment(s string) (*fragment, error) {
	f := &fragment{}
	dec := xml.NewDecoder(strings.NewReader(s))
	for {
		t, err := dec.RawToken()
		if errors.Is(err, io.EOF) && f.depth == 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := f.add(t); err != nil {
			return nil, err
		}
	}
	f.admx = len(f.elements) > 0 && !slices.ContainsFunc(f.elements, notADMX)
	if f.admx {
		slices.Sort(f.elements)
	}
	return f, nil
}

// add takes the next token. An element is complete where its end is.
func (f *fragment) add(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		f.depth++
		f.writeStart(t)
	case xml.EndElement:
		f.depth--
		f.open.WriteString("</" + rawName(t.Name) + ">")
	case xml.CharData:
		if text := bytes.TrimSpace(t); len(text) > 0 {
			f.open.WriteString(strconv.Quote(string(text)))
		}
	case xml.Directive:
		return errNotFragment
	}
	if f.depth < 0 {
		return errNotFragment
	}
	if f.depth == 0 && f.open.Len() > 0 {
		f.elements = append(f.elements, f.open.String())
		f.open.Reset()
	}
	return nil
}

func (f *fragment) writeStart(t xml.StartElement) {
	slices.SortFunc(t.Attr, func(x, y xml.Attr) int { return strings.Compare(rawName(x.Name), rawName(y.Name)) })
	f.open.WriteString("<" + rawName(t.Name))
	for _, a := range t.Attr {
		f.open.WriteString(" " + rawName(a.Name) + "=" + strconv.Quote(a.Value))
	}
	f.open.WriteString(">")
}

func notADMX(element string) bool {
	return !slices.ContainsFunc(admxElements, func(name string) bool {
		return strings.HasPrefix(element, "<"+name+">") || strings.HasPrefix(element, "<"+name+" ")
	})
}

func rawName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

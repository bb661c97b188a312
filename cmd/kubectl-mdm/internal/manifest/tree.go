package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// depthLimit bounds how deep documents nest.
const depthLimit = 100

// document is one document of a file, and the number of lines before it.
type document struct {
	content []byte
	before  int
}

// tree is a value with the places of its parts. value is what an API server reads, node is where it stands.
type tree struct {
	value  any
	node   *yamlnode.Node
	before int
}

// unreadable is a document that is no YAML.
type unreadable struct {
	line    int
	message string
}

// split separates documents at lines that begin with "---", as kubectl does.
func split(content []byte) []document {
	var all []document
	current := document{}
	line := 0
	for text := range bytes.Lines(content) {
		if bytes.HasPrefix(text, []byte("---")) {
			all = append(all, current)
			current = document{before: line}
			text = append([]byte("   "), text[3:]...) // what stands behind the mark belongs to the document
			if strings.HasPrefix(strings.TrimSpace(string(text)), "#") || strings.TrimSpace(string(text)) == "" {
				text = []byte("\n")
			}
		}
		current.content = append(current.content, text...)
		line++
	}
	return append(all, current)
}

// parse reads a document: nil if there is nothing in it.
func parse(d document) (*tree, *unreadable) {
	root := &yamlnode.Node{}
	if err := yamlnode.Unmarshal(d.content, root); err != nil {
		return nil, newUnreadable(d, err)
	}
	if len(root.Content) == 0 || root.Content[0].Tag == "!!null" {
		return nil, nil
	}
	if deep(root.Content[0], depthLimit) {
		return nil, &unreadable{d.before + 1, fmt.Sprintf("nests deeper than %d levels", depthLimit)}
	}
	// The values are read by the reader that kubectl uses: it is another version of YAML, to which yes is true. It takes the last of duplicate keys.
	content, err := yaml.YAMLToJSON(d.content)
	if err != nil {
		return nil, newUnreadable(d, err)
	}
	t := &tree{node: root.Content[0], before: d.before}
	if err := utiljson.Unmarshal(content, &t.value); err != nil {
		return nil, newUnreadable(d, err)
	}
	return t, nil
}

var lineIn = regexp.MustCompile(`\bline (\d+): ?`)

// newUnreadable takes the line out of a message of the YAML reader, which counts in the document.
func newUnreadable(d document, err error) *unreadable {
	message := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	message = strings.TrimPrefix(message, "yaml: ")
	result := &unreadable{line: d.before + 1, message: "no YAML: " + message}
	if found := lineIn.FindStringSubmatch(message); found != nil {
		n, _ := strconv.Atoi(found[1])
		result.line += n - 1
		result.message = "no YAML: " + strings.Replace(message, found[0], "", 1)
	}
	return result
}

// deep says whether something nests deeper than a number of levels. Aliases are followed by the reader of the values, which bounds them by itself.
func deep(n *yamlnode.Node, left int) bool {
	if left == 0 {
		return true
	}
	for _, child := range n.Content {
		if deep(child, left-1) {
			return true
		}
	}
	return false
}

func (t *tree) line() int { return t.before + t.node.Line }

// items are those of a List.
func (t *tree) items() []*tree {
	values, _ := t.value.(map[string]any)["items"].([]any)
	_, list := member(t.node, "items")
	if list == nil || len(list.Content) != len(values) {
		return nil
	}
	all := make([]*tree, 0, len(values))
	for i, value := range values {
		all = append(all, &tree{value: value, node: resolved(list.Content[i]), before: t.before})
	}
	return all
}

// duplicates are keys that stand twice in a mapping.
func (t *tree) duplicates(file string) []Problem {
	var found []Problem
	var visit func(n *yamlnode.Node, path string)
	visit = func(n *yamlnode.Node, path string) {
		seen := map[string]int{}
		for i := 0; n.Kind == yamlnode.MappingNode && i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			field := strings.TrimPrefix(path+"."+key.Value, ".")
			if first, twice := seen[key.Value]; twice {
				found = append(found, Problem{File: file, Line: t.before + key.Line, Message: fmt.Sprintf("%s: duplicate field, which is on line %d already", field, t.before+first)})
			} else {
				seen[key.Value] = key.Line
			}
			visit(n.Content[i+1], field)
		}
		for i := 0; n.Kind == yamlnode.SequenceNode && i < len(n.Content); i++ {
			visit(n.Content[i], fmt.Sprintf("%s[%d]", path, i))
		}
	}
	visit(t.node, "")
	return found
}

// find is the line of the field of a path, or of the last part of it that is there.
func (t *tree) find(path string) int {
	line, n := t.line(), t.node
	for _, part := range parts(path) {
		n = resolved(n)
		if n.Kind == yamlnode.SequenceNode {
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(n.Content) {
				break
			}
			n = n.Content[i]
			line = t.before + n.Line
			continue
		}
		key, value := member(n, part)
		if value == nil {
			break
		}
		n, line = value, t.before+key.Line
	}
	return line
}

// parts splits a path such as spec.labels[example.com/team].x at its dots and brackets.
func parts(path string) []string {
	var all []string
	for path != "" {
		switch i := strings.IndexAny(path, ".["); {
		case i < 0:
			return append(all, path)
		case i > 0:
			all, path = append(all, path[:i]), path[i:]
		case path[0] == '.':
			path = path[1:]
		default:
			inner, rest, _ := strings.Cut(path[1:], "]")
			all, path = append(all, strings.Trim(inner, `"`)), rest
		}
	}
	return all
}

func member(n *yamlnode.Node, name string) (key, value *yamlnode.Node) {
	if n.Kind != yamlnode.MappingNode {
		return nil, nil
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

func resolved(n *yamlnode.Node) *yamlnode.Node {
	if n.Kind == yamlnode.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

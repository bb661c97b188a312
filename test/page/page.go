// Package page takes the pages of the documentation apart: what a person types, and what a person applies.
package page

import (
	"regexp"
	"strings"
)

// Block is a block of code of a page, without its indentation.
type Block struct{ Language, Text string }

// fence is a block of code and its language; in a list it is indented.
var fence = regexp.MustCompile("(?ms)^([ \t]*)```(\\w+)\n(.*?)^[ \t]*```")

// Blocks are the blocks of code of a page in Markdown that name their language.
func Blocks(markdown string) []Block {
	var found []Block
	for _, m := range fence.FindAllStringSubmatch(markdown, -1) {
		found = append(found, Block{Language: m[2], Text: strings.ReplaceAll("\n"+m[3], "\n"+m[1], "\n")[1:]})
	}
	return found
}

// Commands are what a person types in a block of the language console: what comes after a prompt, with the lines that belong to it.
func Commands(text string) []string {
	var found []string
	open := false // whether the next line belongs to the command
	end := ""     // ends a here-document
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		typed, prompted := strings.CutPrefix(line, "$ ")
		switch {
		case open:
			found[len(found)-1] += "\n" + strings.TrimPrefix(line, "> ")
		case prompted:
			found = append(found, typed)
		default:
			continue // what the command prints
		}
		last := found[len(found)-1]
		if m := heredoc.FindStringSubmatch(line); m != nil {
			end = m[1]
		}
		if line == end {
			end = ""
		}
		open = end != "" || unfinished(last)
	}
	return found
}

var heredoc = regexp.MustCompile(`<<'?(\w+)'?$`)

// unfinished says whether a shell waits for another line: after a backslash, in quotes, after a pipe, and in a loop.
func unfinished(command string) bool {
	loop := strings.HasPrefix(command, "for ") && !strings.Contains(command, "done")
	return strings.HasSuffix(command, `\`) || strings.HasSuffix(command, "|") || strings.Count(command, "'")%2 == 1 || loop
}

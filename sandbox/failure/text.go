// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"strings"
	"unicode"
)

// Clean makes text fit for logs and terminals, and at most limit bytes long: what is
// not printable becomes "?", carriage returns go, newlines and tabs stay. Of a text
// that is too long, the end is kept, from a whole line on if there is one.
func Clean(text string, limit int) string {
	if len(text) > 2*limit { // enough to find a line's begin in, and less to look at
		text = text[len(text)-2*limit:]
	}
	text = strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(text, "?")))
	if len(text) <= limit {
		return text
	}
	text = text[len(text)-limit:]
	if _, whole, found := strings.Cut(text, "\n"); found && whole != "" {
		return strings.TrimSpace(whole)
	}
	return strings.ToValidUTF8(text, "") // the cut may have halved a rune
}

// printable drops what moves a terminal's cursor, colours it, or turns the direction
// of its text.
func printable(r rune) rune {
	switch {
	case r == '\r':
		return -1
	case r == '\n', r == '\t', unicode.IsPrint(r):
		return r
	}
	return '?'
}

// oneLine is the end of a text, without line breaks.
func oneLine(text string, limit int) string {
	return strings.Join(strings.Fields(Clean(text, limit)), " ")
}

// SPDX-License-Identifier: Apache-2.0

package crun

import (
	"encoding/json"
	"strings"
)

// message returns the errors in crun's JSON log, joined.
func message(data []byte) string {
	var words []string
	for line := range strings.Lines(string(data)) {
		var entry struct{ Msg, Level string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "error" {
			words = append(words, familiar(entry.Msg))
		}
	}
	return strings.Join(words, "; ")
}

// familiar words an error of crun as Go programs do. Engines know the errors of
// runc by their texts: from "executable file not found", "no such file or
// directory" and "permission denied", with these very letters, Docker and its
// client make the exit codes 127 and 126.
func familiar(message string) string {
	// Which error crun has for a program that nobody may execute depends on what
	// else is wrong with it.
	const not, denied = ": Operation not permitted", ": Permission denied"
	for _, what := range []string{"not executable", "open executable"} {
		message = strings.ReplaceAll(message, what+not, what+denied)
	}
	before, rest, begins := strings.Cut(message, "executable file `")
	name, after, ends := strings.Cut(rest, "`")
	if after, missing := strings.CutPrefix(after, " not found"); begins && ends && missing {
		message = before + `exec: "` + name + `": executable file not found` + after
	}
	// What the C library says of an error is the end, and begins with a capital.
	at := 0
	if colon := strings.LastIndex(message, ": "); colon >= 0 {
		at = colon + len(": ")
	}
	if at+1 >= len(message) || !isUpper(message[at]) || isUpper(message[at+1]) {
		return message
	}
	return message[:at] + strings.ToLower(message[at:at+1]) + message[at+1:]
}

func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }

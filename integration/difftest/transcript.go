// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
)

// transcript is what is compared: a line for each answer of containerd, and a line for each that a process printed.
// What the errors said is kept beside it, for whoever looks for the cause of a difference.
type transcript struct{ text, errors strings.Builder }

func (t *transcript) say(format string, args ...any) { fmt.Fprintf(&t.text, format+"\n", args...) }

// longest is how many bytes of a stream are kept as they are.
const longest = 16 << 10

// block adds what a stream carried, or its length and checksum when it is long. A last line that does not end shows so.
func (t *transcript) block(stream, text string) {
	if len(text) > longest {
		t.say("%s| %d bytes with the checksum %x", stream, len(text), sha256.Sum256([]byte(text)))
		return
	}
	for line := range strings.Lines(text) {
		end := ""
		if !strings.HasSuffix(line, "\n") {
			end = " (without an end of line)"
		}
		t.say("%s| %s%s", stream, printable(strings.TrimSuffix(line, "\n")), end)
	}
}

// printable shows bytes of terminals.
func printable(line string) string {
	quoted := fmt.Sprintf("%q", line)
	return strings.ReplaceAll(strings.Trim(quoted, `"`), `\"`, `"`)
}

// answer adds what containerd answered to a call.
func (t *transcript) answer(what string, err error) {
	t.say("%s: %s", what, kind(err))
	if err != nil {
		fmt.Fprintf(&t.errors, "%s: %v\n", what, err)
	}
}

func (t *transcript) String() string { return t.text.String() }

// kind is what containerd's client got: the kind of error where runc's shim has kinds, and what engines read from its
// words. Docker makes exit code 127 or 126 of "no such file or directory", "executable file not found" or "permission
// denied" in the message. For what is wrong with a request or its time, runc's shim has an error without a kind in most
// cases, and the other words are each runtime's own: neither is compared.
func kind(err error) string {
	if err == nil {
		return "ok"
	}
	found := "refused"
	for _, k := range []struct {
		name string
		is   func(error) bool
	}{
		{"not found", errdefs.IsNotFound}, {"already exists", errdefs.IsAlreadyExists},
		{"unavailable", errdefs.IsUnavailable}, {"deadline exceeded", errdefs.IsDeadlineExceeded},
	} {
		if k.is(err) {
			found = k.name
		}
	}
	text := strings.ToLower(err.Error())
	for _, words := range []struct{ text, means string }{
		{"executable file not found", "no such command"}, {"no such file or directory", "no such command"},
		{"permission denied", "permission denied"},
	} {
		if strings.Contains(text, words.text) {
			return found + ", " + words.means
		}
	}
	return found
}

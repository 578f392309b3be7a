// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAwaitSync(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 2)
	other := strings.Repeat("f", idDigits)
	for name, c := range map[string]struct {
		in   string
		want bool
	}{
		"alone":                     {syncReady + id + "\n", true},
		"after another session's":   {syncReady + other + "\n" + syncReady + id + "\n", true},
		"after half a line":         {"KATAPOD-MUX 1 READY 0123" + syncReady + id + "\n", true},
		"after binary bytes":        {"\x00\x01\n\n\xff" + syncReady + id + "\n", true},
		"another session's only":    {syncReady + other + "\n", false},
		"the other side's verb":     {syncHello + id + "\n", false},
		"capital digits":            {syncReady + strings.ToUpper(id) + "\n", false},
		"no newline":                {syncReady + id, false},
		"one digit more":            {syncReady + id + "0\n", false},
		"nothing":                   {"", false},
		"something else in between": {"KATAPOD-MUX 2 READY " + id + "\n", false},
	} {
		r := bufio.NewReader(strings.NewReader(c.in + "rest"))
		got, err := awaitSync(r, syncReady, id)
		if !c.want {
			if !errors.Is(err, io.EOF) {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
			continue
		}
		rest, _ := io.ReadAll(r)
		if err != nil || got != id || string(rest) != "rest" {
			t.Errorf("%s: got %q, %v, and %q is left", name, got, err, rest)
		}
	}
}

// endless gives the same byte for ever.
type endless byte

func (e endless) ReadByte() (byte, error) { return byte(e), nil }

func TestAwaitSyncIsBounded(t *testing.T) {
	for _, b := range []endless{0, '\n', 'K'} {
		if _, err := awaitSync(b, syncReady, ""); !errors.Is(err, errNoSync) {
			t.Errorf("got %v", err)
		}
	}
}

// FuzzSync wants no id but a proper one, whatever the guest sends.
func FuzzSync(f *testing.F) {
	id := strings.Repeat("0123456789abcdef", 2)
	for _, s := range []string{
		syncReady + id + "\n", "\x00\x00garbage\n" + syncReady + id + "\n", syncReady + "\n", "K\n",
		syncReady + strings.Repeat("\n", idDigits) + "\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := awaitSync(bytes.NewReader(b), syncReady, "")
		if err == nil && !bytes.Contains(b, []byte(syncReady+got+"\n")) {
			t.Fatalf("the id %q is not in %q", got, b)
		}
		if err == nil && (len(got) != idDigits || strings.Trim(got, "0123456789abcdef") != "") {
			t.Fatalf("%q is no id", got)
		}
	})
}

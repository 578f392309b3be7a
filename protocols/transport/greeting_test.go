// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// farEnd answers a greeting with what the test says.
type farEnd struct {
	io.Reader
	got bytes.Buffer
}

func (f *farEnd) Write(p []byte) (int, error) { return f.got.Write(p) }

func TestGreet(t *testing.T) {
	for _, c := range []struct{ answer, rest, want string }{
		{"OK 1024\n", "", ""},
		{"OK 1073741824\nhello", "hello", ""}, // a VMM's own port
		{"OK 0\n\n", "\n", ""},
		{"", "", "connection refused: nothing listens on guest port 1024"},
		{"OK 10", "", "unexpected EOF|EOF"},
		{"OK\n", "", "does not begin"},
		{"ok 1\n", "", "does not begin"},
		{"OK  1\n", "", "does not end in a port number"},
		{"OK 01\n", "", "does not end in a port number"},
		{"OK +1\n", "", "does not end in a port number"},
		{"OK 1 \n", "", "does not end in a port number"},
		{"OK 1\r\n", "", "does not end in a port number"},
		{"OK 4294967296\n", "", "does not end in a port number"},
		{strings.Repeat("x", 1000), "", "longer than 64 bytes"},
	} {
		far := &farEnd{Reader: iotest.OneByteReader(strings.NewReader(c.answer))}
		err := greet(far, 1024)
		if got := far.got.String(); got != "CONNECT 1024\n" {
			t.Errorf("the host said %q", got)
		}
		if c.want == "" {
			rest, _ := io.ReadAll(far)
			if err != nil || string(rest) != c.rest {
				t.Errorf("%q: %v, and %q is left", c.answer, err, rest)
			}
			continue
		}
		if err == nil || !containsAny(err.Error(), strings.Split(c.want, "|")) {
			t.Errorf("%q: got %v, want %q", c.answer, err, c.want)
		}
	}
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// TestGreetCutShort is not a refusal, which would be tried again.
func TestGreetCutShort(t *testing.T) {
	if err := greet(&farEnd{Reader: strings.NewReader("OK 1")}, 1); err == nil || errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
}

func TestReadConnect(t *testing.T) {
	for line, want := range map[string]int64{
		"CONNECT 1024\n":       1024,
		"CONNECT 4294967295\n": 4294967295,
		"CONNECT 4294967296\n": -1,
		"connect 1024\n":       -1,
		"CONNECT 1024":         -1,
		"CONNECT -1\n":         -1,
		"CONNECT \n":           -1,
		"\n":                   -1,
	} {
		got, err := readConnect(strings.NewReader(line))
		if (err == nil) != (want >= 0) || err == nil && int64(got) != want {
			t.Errorf("%q: got %d, %v", line, got, err)
		}
	}
}

// FuzzGreeting feeds both parsers. What they take they must write the same way.
func FuzzGreeting(f *testing.F) {
	for _, s := range []string{
		"OK 1024\n", "CONNECT 1027\n", "OK 4294967295\nrest", "CONNECT 00\n", "OK -1\n", "", "\n",
		strings.Repeat("9", 100), "OK 1\x00\n", "CONNECT 1024\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, verb := range []string{verbConnect, verbOK} {
			r := bytes.NewReader(b)
			line, err := readLine(r)
			if read := len(b) - r.Len(); read > maxGreeting {
				t.Fatalf("%d bytes were read", read)
			}
			if err != nil {
				continue
			}
			n, err := parseLine(line, verb)
			if err == nil && line != verb+" "+strconv.FormatUint(uint64(n), 10) {
				t.Fatalf("%q was taken for %d", line, n)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzReport reports what any guest, its console and its VMM said: in a line of bounded, printable text, and in a file
// of bounded size that reads the same.
func FuzzReport(f *testing.F) {
	f.Add("no answer", "Kernel panic", "warning")
	f.Add(hostile()[:4096], "\xc3", "\x1b[2J\u202e\r\n")
	path := filepath.Join(f.TempDir(), FileName)
	f.Fuzz(func(t *testing.T, cause, console, log string) {
		r := &Report{Pod: "p", Namespace: "n", Step: "agent", Code: AgentFailed, Cause: errors.New(cause), Console: console, VMMLog: log, At: time.Now().Truncate(0)}
		line := r.Error()
		if len(line) > 4<<10 || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("a line of %d bytes: %q", len(line), line)
		}
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() > 64<<10 {
			t.Fatalf("the file is %v, error %v", info, err)
		}
		again, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Error(); got != line {
			t.Fatalf("read again, it says %q, not %q", got, line)
		}
	})
}

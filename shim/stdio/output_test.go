// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// An engine on a busy host opens its end of the output of a short process only when that process has ended, and all
// was copied. It reads everything, and the end.
func TestReaderThatComesAfterTheEnd(t *testing.T) {
	for name, text := range map[string]string{"output": "here\n", "no output": ""} {
		t.Run(name, func(t *testing.T) {
			path := fifo(t, "stdout")
			s := open(t, Paths{Stdout: path})
			g, far := guest()
			begin(t, s, Guest{Stdout: g.Stdout})
			if _, err := io.WriteString(far.stdout, text); err != nil {
				t.Fatal(err)
			}
			if err := far.stdout.Close(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			s.Drain()
			if took := time.Since(began); took > timeouts.StuckReader {
				t.Errorf("an output that nobody reads held the exit back for %s", took)
			}
			wantRead(t, path, text)
		})
	}
}

// wantRead opens a FIFO as containerd does, which waits for a writer, and reads all.
func wantRead(t *testing.T, path, want string) {
	t.Helper()
	type all struct {
		text []byte
		err  error
	}
	read := make(chan all, 1)
	go func() {
		f, err := os.Open(path)
		if err != nil {
			read <- all{err: err}
			return
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		read <- all{text, err}
	}()
	select {
	case got := <-read:
		if got.err != nil || string(got.text) != want {
			t.Errorf("the engine reads %q, error %v; want %q", got.text, got.err, want)
		}
	case <-time.After(patience / 2):
		t.Error("the engine waits for ever for the output of a process that has ended")
		if f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0); err == nil {
			_ = f.Close() // lets the reader go
		}
	}
}

// Where nobody ever reads, the end of the streams is not held up.
func TestNobodyEverReads(t *testing.T) {
	path := fifo(t, "stdout")
	s := open(t, Paths{Stdout: path})
	g, far := guest()
	begin(t, s, Guest{Stdout: g.Stdout})
	if err := far.stdout.Close(); err != nil {
		t.Fatal(err)
	}
	s.Drain()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0); !errors.Is(err, unix.ENXIO) {
		t.Errorf("the FIFO is still held: %v", err)
	}
}

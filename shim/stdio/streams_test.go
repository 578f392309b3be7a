// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// patience is longer than any step of these tests takes.
const patience = time.Minute

// ends are the guest's side of a process's streams.
type ends struct {
	stdin          *io.PipeReader
	stdout, stderr *io.PipeWriter
}

func guest() (Guest, ends) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	return Guest{Stdin: inW, Stdout: outR, Stderr: errR}, ends{inR, outW, errW}
}

// begin connects all streams, as the start of a process does.
func begin(t *testing.T, s *Streams, g Guest) {
	t.Helper()
	if err := s.OpenInput(); err != nil {
		t.Fatal(err)
	}
	s.Attach(g)
	s.Feed(g.Stdin)
}

func fifo(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, p Paths) *Streams {
	t.Helper()
	s, err := Open(t.Context(), p, "ns", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func engineReads(t *testing.T, path string) *os.File {
	t.Helper()
	return opened(t, path, os.O_RDONLY)
}

func opened(t *testing.T, path string, mode int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, mode|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// within fails the test when fn takes too long.
func within(t *testing.T, d time.Duration, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s took longer than %s", what, d)
	}
}

func TestABurstAndAnImmediateExitLoseNoByte(t *testing.T) {
	out := fifo(t, "stdout")
	engine := engineReads(t, out)
	s := open(t, Paths{Stdout: out})
	g, e := guest()
	begin(t, s, g)
	sent := bytes.Repeat([]byte("katapod!"), 1<<20)
	go func() {
		_, _ = e.stdout.Write(sent)
		_ = e.stdout.Close()
	}()
	var got []byte
	read := make(chan error, 1)
	go func() {
		var err error
		got, err = io.ReadAll(engine)
		read <- err
	}()
	within(t, patience, "Drain", s.Drain)
	if err := leaktest.Receive(t, read); err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Errorf("%d bytes arrived of %d", len(got), len(sent))
	}
}

func TestASlowReaderHoldsUpNoOtherStream(t *testing.T) {
	out, errs := fifo(t, "stdout"), fifo(t, "stderr")
	s := open(t, Paths{Stdout: out, Stderr: errs})
	engine := engineReads(t, errs)
	g, e := guest()
	begin(t, s, g)
	go func() { _, _ = e.stdout.Write(make([]byte, 1<<20)) }() // nobody reads it
	go func() {
		_, _ = e.stderr.Write([]byte("heard"))
		_ = e.stderr.Close()
	}()
	within(t, patience, "reading stderr", func() {
		if got, err := io.ReadAll(engine); err != nil || string(got) != "heard" {
			t.Errorf("stderr is %q, error %v", got, err)
		}
	})
}

func TestDetachIsNotTheEndOfInput(t *testing.T) {
	in := fifo(t, "stdin")
	s := open(t, Paths{Stdin: in})
	g, e := guest()
	begin(t, s, g)
	for _, word := range []string{"first", "second"} {
		client := opened(t, in, os.O_WRONLY)
		if _, err := client.WriteString(word); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(word))
		within(t, patience, "reading stdin", func() {
			if _, err := io.ReadFull(e.stdin, got); err != nil {
				t.Error(err)
			}
		})
		if string(got) != word {
			t.Errorf("the process read %q, want %q", got, word)
		}
	}
	if err := s.CloseStdin(); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "the end of stdin", func() {
		if rest, err := io.ReadAll(e.stdin); err != nil || len(rest) != 0 {
			t.Errorf("after CloseIO the process read %q, error %v", rest, err)
		}
	})
}

func TestCloseIOWaitsForWhatTheClientStillWrites(t *testing.T) {
	in := fifo(t, "stdin")
	s := open(t, Paths{Stdin: in})
	client := opened(t, in, os.O_RDWR) // nobody else has it open yet
	if err := s.CloseStdin(); err != nil {
		t.Fatal(err)
	}
	g, e := guest()
	begin(t, s, g)
	go func() {
		_, _ = client.WriteString("late words")
		_ = client.Close()
	}()
	within(t, patience, "reading stdin", func() {
		if got, err := io.ReadAll(e.stdin); err != nil || string(got) != "late words" {
			t.Errorf("the process read %q, error %v", got, err)
		}
	})
}

func TestAReaderMayLeaveAndComeBack(t *testing.T) {
	out := fifo(t, "stdout")
	s := open(t, Paths{Stdout: out})
	first := engineReads(t, out)
	g, e := guest()
	begin(t, s, g)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = e.stdout.Write([]byte("while away"))
		_ = e.stdout.Close()
	}()
	second := engineReads(t, out)
	within(t, patience, "reading stdout", func() {
		if got, err := io.ReadAll(second); err != nil || string(got) != "while away" {
			t.Errorf("stdout is %q, error %v", got, err)
		}
	})
}

func TestCloseEndsACopyThatNobodyReads(t *testing.T) {
	out := fifo(t, "stdout")
	s, err := Open(t.Context(), Paths{Stdout: out}, "ns", "c")
	if err != nil {
		t.Fatal(err)
	}
	g, e := guest()
	begin(t, s, g)
	wrote := make(chan error, 1)
	go func() {
		_, err := e.stdout.Write(make([]byte, 1<<20))
		wrote <- err
	}()
	within(t, patience, "Close", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	within(t, patience, "the guest's write", func() {
		if err := <-wrote; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the guest's write ended with %v", err)
		}
	})
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestFileNameAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("old "), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Paths{Stdout: "file://" + path, Stderr: "file://" + path})
	g, e := guest()
	begin(t, s, g)
	_, _ = e.stdout.Write([]byte("out "))
	_ = e.stdout.Close()
	_, _ = e.stderr.Write([]byte("err"))
	_ = e.stderr.Close()
	within(t, patience, "Drain", s.Drain)
	got, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(got, []byte("old ")) || len(got) != len("old out err") {
		t.Errorf("the file holds %q, error %v", got, err)
	}
}

func TestLoggingProgram(t *testing.T) {
	dir := t.TempDir()
	program, result := filepath.Join(dir, "logger"), filepath.Join(dir, "result")
	script := "#!/bin/sh\nexec 5>&-\n{ echo \"$CONTAINER_NAMESPACE/$CONTAINER_ID $1 $2\"; cat <&3; cat <&4; } > " + result + ".new\nmv " + result + ".new " + result + "\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	name := "binary://" + program + "?level=debug"
	s := open(t, Paths{Stdout: name, Stderr: name})
	g, e := guest()
	begin(t, s, g)
	for w, text := range map[*io.PipeWriter]string{e.stdout: "out\n", e.stderr: "err\n"} {
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	}
	within(t, patience, "Drain", s.Drain)
	within(t, patience, "the logging program", func() {
		for {
			if got, err := os.ReadFile(result); err == nil {
				if want := "ns/c level debug\nout\nerr\n"; string(got) != want {
					t.Errorf("the program read %q, want %q", got, want)
				}
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func TestLoggingProgramThatFails(t *testing.T) {
	if _, err := Open(t.Context(), Paths{Stdout: "binary:///nonexistent"}, "ns", "c"); err == nil {
		t.Error("a logging program that does not exist was accepted")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Paths{Stdout: "binary:///bin/sleep?60"}, "ns", "c"); err == nil {
		t.Error("a logging program that never gets ready was accepted")
	}
}

func TestBadNames(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		paths Paths
		want  error
	}{
		{Paths{Stdout: "tcp://host/log"}, errdefs.ErrNotImplemented},
		{Paths{Stdout: "file://"}, errdefs.ErrInvalidArgument},
		{Paths{Stdout: "binary:///x?a=%zz"}, errdefs.ErrInvalidArgument},
		{Paths{Stdout: filepath.Join(dir, "absent")}, os.ErrNotExist},
		{Paths{Stdin: dir}, errdefs.ErrInvalidArgument},
		{Paths{Stdin: "http://%"}, errdefs.ErrInvalidArgument},
	} {
		if _, err := Open(t.Context(), test.paths, "ns", "c"); !errors.Is(err, test.want) {
			t.Errorf("%+v: error %v, want %v", test.paths, err, test.want)
		}
	}
}

func TestATerminalHasOneOutput(t *testing.T) {
	p := Paths{Stdin: "i", Stdout: "o", Stderr: "e", Terminal: true}
	if !p.HasStdin() || !p.HasStdout() || p.HasStderr() {
		t.Errorf("streams of a terminal: %v %v %v", p.HasStdin(), p.HasStdout(), p.HasStderr())
	}
}

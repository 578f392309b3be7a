// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// The stream of a process whose child holds its output ends with the process, and the child may go on writing.
func TestOutputThatAChildHolds(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, Tokens{0, 2, 3}, false, "cd "+dir+"; mkfifo go went; (read x <go; echo more; echo more >&2; echo done >went) & echo words; exit 5")
	out, errs := f.stream(t, 2), f.stream(t, 3)
	if got, err := io.ReadAll(errs); err != nil || len(got) != 0 {
		t.Errorf("stderr is %q, %v", got, err)
	}
	if got, err := io.ReadAll(out); err != nil || string(got) != "words\n" {
		t.Errorf("stdout is %q, %v", got, err)
	}
	if status, err := f.process(t, "c").Wait(t.Context()); err != nil || status != 5 {
		t.Errorf("status %d, %v", status, err)
	}
	if err := os.WriteFile(dir+"/go", []byte("x\n"), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dir + "/went"); err != nil || string(got) != "done\n" {
		t.Errorf("the child said %q, %v: its output was closed", got, err)
	}
}

// A child that holds the input and does not read it holds up nothing of the agent.
func TestInputThatAChildHolds(t *testing.T) {
	f := newFixture(t, Tokens{1, 2, 0}, false, "(exec sleep 1000 >/dev/null 2>&1 <&0) <&0 & echo started; read x; exit 0")
	in, out := f.stream(t, 1), f.stream(t, 2)
	if _, err := out.Read(make([]byte, len("started\n"))); err != nil {
		t.Fatal(err)
	}
	// More than the pipe holds, so that the agent waits for a reader.
	if _, err := io.Copy(in, io.MultiReader(bytes.NewReader([]byte("\n")), endless{})); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the input of a process that has ended: %v", err)
	}
	deadline := time.Now().Add(time.Minute)
	// Nobody is told that the pipe is closed.
	for s := f.process(t, "c").streams; s.stdin() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the agent keeps the pipe of an input that nobody reads")
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// The time after which an output counts as settled does not run while its taker is slow.
func TestSettledOutputIsReadToTheEnd(t *testing.T) {
	const quiet = 20 * time.Millisecond
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	o := newOutput(r)
	defer o.end()
	sent := bytes.Repeat([]byte("0123456789"), 6000)
	if _, err := w.Write(sent); err != nil {
		t.Fatal(err)
	}
	o.settle(quiet)
	var got []byte
	for buf := make([]byte, 10000); ; {
		n, err := o.next(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, errSettled) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * quiet) // the taker
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes were read", len(got), len(sent))
	}
}

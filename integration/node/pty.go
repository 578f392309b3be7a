// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/console"
)

// Terminal is a command that runs on a pseudo terminal, with everything it printed so far.
type Terminal struct {
	master console.Console
	exited chan struct{}
	code   int

	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed and replaced at every output
}

// StartTerminal starts the command on a new pseudo terminal of this size. The command is killed when ctx ends.
func (r Runner) StartTerminal(ctx context.Context, columns, rows uint16, name string, args ...string) (*Terminal, error) {
	master, path, err := console.NewPty()
	if err != nil {
		return nil, fmt.Errorf("open a pseudo terminal: %w", err)
	}
	if err := master.Resize(console.WinSize{Width: columns, Height: rows}); err != nil {
		return nil, errors.Join(fmt.Errorf("size a pseudo terminal: %w", err), master.Close())
	}
	slave, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the other end of a pseudo terminal: %w", err), master.Close())
	}
	defer slave.Close()
	cmd := r.Command(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s on a terminal: %w", quote(name, args), err), master.Close())
	}
	t := &Terminal{master: master, exited: make(chan struct{}), changed: make(chan struct{})}
	go t.follow(cmd)
	return t, nil
}

// follow reads what the command prints until it has ended. Reading a pty fails with EIO when the last holder of the
// other end is gone, which is its end of file.
func (t *Terminal) follow(cmd *exec.Cmd) {
	buf := make([]byte, 4096)
	for {
		count, err := t.master.Read(buf)
		t.add(buf[:count])
		if err != nil {
			break
		}
	}
	_ = cmd.Wait() // the code says how it ended
	t.code = exitCode(cmd.ProcessState)
	close(t.exited)
	t.add(nil)
}

func (t *Terminal) add(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(p)
	close(t.changed)
	t.changed = make(chan struct{})
}

// Text is everything printed so far, with the line ends of a terminal (\r\n) as \n.
func (t *Terminal) Text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ReplaceAll(t.text.String(), "\r\n", "\n")
}

// Type sends text as if it was typed.
func (t *Terminal) Type(text string) error {
	if _, err := io.WriteString(t.master, text); err != nil {
		return fmt.Errorf("type on the terminal: %w", err)
	}
	return nil
}

// Resize changes the terminal's size, which the command learns by SIGWINCH.
func (t *Terminal) Resize(columns, rows uint16) error {
	if err := t.master.Resize(console.WinSize{Width: columns, Height: rows}); err != nil {
		return fmt.Errorf("size a pseudo terminal: %w", err)
	}
	return nil
}

// PlainShell is a shell for terminals, as the argument of `sh -c`: unlike an interactive one it has no line editing,
// which asks the terminal where the cursor is and takes what is typed meanwhile for the answer.
const PlainShell = `while read -r line; do eval "$line"; done`

// Dialogue types and expects in turn: the words are what is typed, what is to be printed then, and so on. An empty
// word types or expects nothing. What a terminal echoes counts as printed, so expect what is not typed.
func (t *Terminal) Dialogue(ctx context.Context, words ...string) error {
	for i, word := range words {
		var err error
		if i%2 == 0 {
			err = t.Type(word)
		} else {
			err = t.Expect(ctx, word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Expect waits until the text has been printed.
func (t *Terminal) Expect(ctx context.Context, text string) error {
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		if strings.Contains(t.Text(), text) {
			return nil
		}
		select {
		case <-t.exited:
			if strings.Contains(t.Text(), text) {
				return nil
			}
			return fmt.Errorf("the command on the terminal ended with code %d before it printed %q; it printed %q",
				t.code, text, t.Text())
		case <-ctx.Done():
			return fmt.Errorf("the command on the terminal did not print %q (%w); it printed %q", text, ctx.Err(), t.Text())
		case <-changed:
		}
	}
}

// Wait waits for the end of the command and returns its exit code. The terminal is closed then.
func (t *Terminal) Wait(ctx context.Context) (int, error) {
	select {
	case <-t.exited:
	case <-ctx.Done():
		return 0, fmt.Errorf("the command on the terminal did not end (%w); it printed %q", ctx.Err(), t.Text())
	}
	if err := t.master.Close(); err != nil {
		return t.code, fmt.Errorf("close the pseudo terminal: %w", err)
	}
	return t.code, nil
}

// RunTerminal runs the command on a terminal of 80 by 24 to its end, at most five minutes, and returns what it printed.
func (r Runner) RunTerminal(ctx context.Context, name string, args ...string) (string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	t, err := r.StartTerminal(ctx, 80, 24, name, args...)
	if err != nil {
		return "", 0, err
	}
	code, err := t.Wait(ctx)
	return t.Text(), code, err
}

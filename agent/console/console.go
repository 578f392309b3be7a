// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/reaper"
)

// shells are tried in order.
func shells() []string { return []string{"bash", "sh"} }

// Starter starts a command and tells of its end.
type Starter interface {
	Start(cmd *exec.Cmd) (<-chan reaper.Exit, error)
}

// Serve gives each connection a shell on a terminal of its own, until the
// listener closes, which it does when ctx ends.
func Serve(ctx context.Context, l net.Listener, starter Starter) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a debug console: %w", err)
		}
		// It owns the connection, and ends with it or with the shell.
		go func() {
			defer func() { _ = conn.Close() }()
			if err := session(conn, starter); err != nil {
				_, _ = fmt.Fprintf(conn, "%v\r\n", err)
				slog.Warn("a debug console ended", "error", err)
			}
		}()
	}
}

func session(conn net.Conn, starter Starter) error {
	master, name, err := console.NewPty()
	if err != nil {
		return fmt.Errorf("make a terminal for the debug console: %w", err)
	}
	defer func() { _ = master.Close() }()
	terminal, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open the debug console's terminal: %w", err)
	}
	cmd, exited, err := start(terminal, starter)
	_ = terminal.Close()
	if err != nil {
		return err
	}
	defer func() { _ = cmd.Wait() }()
	// It ends with the connection, which the caller closes.
	go func() {
		_, _ = io.Copy(master, conn)
		// The host has gone; its shell goes too.
		_ = cmd.Process.Kill()
	}()
	_, _ = io.Copy(conn, master)
	<-exited
	return nil
}

// start starts the first shell there is on a terminal.
func start(terminal *os.File, starter Starter) (*exec.Cmd, <-chan reaper.Exit, error) {
	for _, name := range shells() {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		cmd := exec.Command(path)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
		cmd.Dir = "/"
		cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
		exited, err := starter.Start(cmd)
		return cmd, exited, err
	}
	return nil, nil, fmt.Errorf("the guest's image has no shell for the debug console, looked for %q", shells())
}

// OnTerminal runs a shell on a terminal of the guest, and another one each time
// it ends, until ctx ends.
func OnTerminal(ctx context.Context, path string, starter Starter) error {
	for ctx.Err() == nil {
		terminal, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return fmt.Errorf("open the terminal of the debug console: %w", err)
		}
		cmd, exited, err := start(terminal, starter)
		_ = terminal.Close()
		if err != nil {
			return err
		}
		<-exited
		_ = cmd.Wait()
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// containerd is the node's containerd process.
type containerd struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
}

// startContainerd returns when containerd accepts connections.
func startContainerd(ctx context.Context, l Layout, k *keeper) (*containerd, error) {
	log, err := os.OpenFile(l.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make containerd's log: %w", err)
	}
	defer log.Close()
	// Signals that are ignored here (nohup) would be ignored in every container of runc.
	words := append(k.prefix(), "env", "--default-signal", l.containerd(),
		"--config", l.path("etc/containerd.toml"), "--log-level", cmp.Or(l.LogLevel, "info"))
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = l.environment()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	c := &containerd{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(c.exited)
	}()
	if err := c.ready(ctx, l.Socket()); err != nil {
		c.stop()
		return nil, fmt.Errorf("%w; the end of its log: %s", err, tail(l.Log(), 1500))
	}
	return c, nil
}

// startLimit bounds the start of containerd on a machine that is busy.
const startLimit = 2 * time.Minute

// ready waits for the socket. There is nothing to be told by, so it tries, at first every millisecond.
func (c *containerd) ready(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.exited:
			return errors.New("containerd ended while it started")
		case <-ctx.Done():
			return fmt.Errorf("containerd did not serve %s: %w", socket, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// stop asks containerd to end, makes it end after five seconds, and waits.
func (c *containerd) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-c.exited:
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

// kill ends containerd as a crash would, and waits.
func (c *containerd) kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.exited
}

// environment is what containerd, and through it every shim, is started with: nothing of this process's own.
func (l Layout) environment() []string {
	return []string{
		"PATH=" + l.searchPath(),
		"HOME=/root",
		"KATA_CONF_FILE=" + l.KataConfig(),
		"KATAPOD_STATE_DIR=" + l.StateDir(),
		marker(l),
	}
}

// tail is the end of a text file, for error messages.
func tail(path string, most int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

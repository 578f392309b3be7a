// SPDX-License-Identifier: Apache-2.0

package crun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/container"
)

// launch is one create or exec: what crun is given and what it gives back.
type launch struct {
	files   container.Files
	pidFile string
	console *runc.Socket
}

// launch calls run, which starts a process by crun, and collects the process's
// PID, its end and its terminal.
func (r *Runtime) launch(ctx context.Context, what, id, dir string, files container.Files,
	run func(*runc.Runc, *launch) error,
) (_ container.Started, err error) {
	c, err := r.command(dir)
	if err != nil {
		return container.Started{}, err
	}
	// One name per call: several execs of a container start at once.
	l := &launch{files: files, pidFile: c.Log + ".pid"}
	defer func() { _ = os.Remove(l.pidFile) }()
	if files.Terminal {
		if l.console, err = runc.NewTempConsoleSocket(); err != nil {
			return container.Started{}, fmt.Errorf("make the socket for the terminal of container %s: %w", id, err)
		}
		defer func() { _ = l.console.Close() }()
	}
	master := l.receive()

	watch := r.Reaper.Watch()
	defer watch.Close()
	if err := explain(c, what, id, run(c, l)); err != nil {
		return container.Started{}, errors.Join(err, l.discard(master))
	}
	pid, err := readPID(filepath.Clean(l.pidFile))
	if err != nil {
		return container.Started{}, errors.Join(err, l.discard(master))
	}
	started := container.Started{PID: pid, Exit: watch.Claim(pid)}
	if files.Terminal {
		t := <-master
		if t.err != nil {
			return started, fmt.Errorf("receive the terminal of container %s: %w", id, t.err)
		}
		started.Terminal = t.file
	}
	return started, nil
}

type terminal struct {
	file *os.File
	err  error
}

// receive waits for the terminal in the background; the channel gets it once.
func (l *launch) receive() <-chan terminal {
	if l.console == nil {
		return nil
	}
	out := make(chan terminal, 1)
	// It ends when crun has sent the terminal, or when the caller closes the socket.
	go func() {
		c, err := l.console.ReceiveMaster()
		if err != nil {
			out <- terminal{err: err}
			return
		}
		defer func() { _ = c.Close() }()
		f, err := pollable(int(c.Fd()))
		out <- terminal{f, err}
	}()
	return out
}

// discard ends the wait for a terminal and closes one that came.
func (l *launch) discard(master <-chan terminal) error {
	if l.console == nil {
		return nil
	}
	_ = l.console.Close()
	if t := <-master; t.file != nil {
		return t.file.Close()
	}
	return nil
}

// pollable returns a file of its own for the terminal that is read without
// holding a thread, and whose close wakes its readers.
func pollable(fd int) (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the terminal: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make the terminal non-blocking: %w", err)
	}
	return os.NewFile(uintptr(fd), "terminal"), nil
}

func (l *launch) io() runc.IO {
	if l.files.Terminal {
		return nil
	}
	return stdio{files: l.files}
}

func (l *launch) consoleSocket() runc.ConsoleSocket {
	if l.console == nil {
		return nil
	}
	return l.console
}

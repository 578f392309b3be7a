// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor/confine"
	"github.com/katapod/katapod/hypervisor/internal/tail"
	"github.com/katapod/katapod/protocols/timeouts"
)

const (
	// logTail is how much of standard error is kept, in bytes.
	logTail = 4 << 10
	// socketFD is the number under which the daemon inherits its socket.
	socketFD = 3
	// maxFiles is as many open files as a daemon needs; each file that the guest
	// knows is one.
	maxFiles = 1 << 20
)

// Daemon is a running virtiofsd. It is safe for concurrent use.
type Daemon struct {
	cmd    *exec.Cmd
	socket string
	log    *tail.Buffer
	done   chan struct{}

	// mu guards what follows.
	mu      sync.Mutex
	stopped bool
	err     error
}

// Start runs a daemon and returns when the VMM can connect to its socket. On
// error nothing is left. A daemon that dies later, for instance of an argument
// that it does not know, closes [Daemon.Done].
func Start(ctx context.Context, c Config) (*Daemon, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	f, err := findings(c.Findings).flavor(ctx, c.Binary)
	if err != nil {
		return nil, err
	}
	files, err := openFiles()
	if err != nil {
		return nil, err
	}
	args, err := f.args(c, socketFD, files)
	if err != nil {
		return nil, err
	}
	root, err := rootFor(ctx, c, f)
	if err != nil {
		return nil, err
	}
	defer root.Close() // The daemon keeps it.
	d, err := spawn(c, args, root)
	if err != nil {
		return nil, err
	}
	if err := d.report(c.Spawned); err != nil {
		kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Kill)
		defer cancel()
		return nil, errors.Join(err, d.Stop(kill))
	}
	return d, nil
}

// openFiles is how many files the daemon may open without any privilege.
func openFiles() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return min(limit.Max, maxFiles), nil
}

func spawn(c Config, args []string, root *confine.Root) (*Daemon, error) {
	binary, err := filepath.EvalSymlinks(c.Binary) // Its root directory has no links.
	if err != nil {
		return nil, fmt.Errorf("find virtiofsd: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for virtiofsd: %w", err)
	}
	defer listener.Close() // The daemon's copy goes on listening.
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hand on virtiofsd's socket: %w", err), os.Remove(c.Socket))
	}
	defer file.Close()
	d := &Daemon{cmd: exec.Command(binary, args...), socket: c.Socket, log: tail.New(logTail), done: make(chan struct{})}
	d.cmd.Dir, d.cmd.Env = "/", []string{}
	d.cmd.Stderr, d.cmd.Stdout = d.log, d.log
	d.cmd.ExtraFiles = []*os.File{file}
	d.cmd.WaitDelay = timeouts.DrainLog
	// The daemon forks; its group is how all of it is reached.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := confine.Start(d.cmd, confine.Process{Root: root, NoNetwork: true, Keep: needed()}); err != nil {
		return nil, errors.Join(fmt.Errorf("start virtiofsd %s: %w", c.Binary, err), os.Remove(c.Socket))
	}
	// It is the daemon's, and ends with its process.
	go d.watch()
	return d, nil
}

// report calls spawned for the daemon and then for children that it had before
// that call returned; later ones inherit what the call did to their parent.
func (d *Daemon) report(spawned func(int) error) error {
	if spawned == nil {
		return nil
	}
	pending, seen := []int{d.PID()}, map[int]bool{}
	for len(pending) > 0 {
		pid := pending[0]
		pending = pending[1:]
		if seen[pid] {
			continue
		}
		seen[pid] = true
		if err := spawned(pid); err != nil {
			return fmt.Errorf("record the virtiofsd process %d: %w", pid, err)
		}
		pending = append(pending, children(pid)...)
	}
	return nil
}

// watch reaps the daemon. Its group is killed before its process id is given
// up, so that no stray child stays and no other process is hit.
func (d *Daemon) watch() {
	defer close(d.done)
	for {
		err := unix.Waitid(unix.P_PID, d.PID(), nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_ = unix.Kill(-d.PID(), unix.SIGKILL) // Mostly nobody is left.
	status := d.cmd.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	how := "exited with status 0"
	if status != nil {
		how = "ended: " + status.Error()
	}
	d.err = fmt.Errorf("virtiofsd %s; it said: %q: %w", how, d.log.String(), errdefs.ErrUnavailable)
}

// Stop kills the daemon, waits for its end, and removes its socket. It may be
// called more than once.
func (d *Daemon) Stop(ctx context.Context) error {
	d.mu.Lock()
	select {
	case <-d.done:
	default:
		d.stopped = true
		// The daemon is not reaped yet: the group is its own.
		if err := unix.Kill(-d.PID(), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			d.mu.Unlock()
			return fmt.Errorf("kill virtiofsd, process %d: %w", d.PID(), err)
		}
	}
	d.mu.Unlock()
	select {
	case <-d.done:
	case <-ctx.Done():
		return fmt.Errorf("virtiofsd, process %d, did not end after SIGKILL; it may be stuck in the kernel on the shared directory: %w", d.PID(), ctx.Err())
	}
	if err := os.Remove(d.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove virtiofsd's socket: %w", err)
	}
	return nil
}

// Done is closed when the daemon has ended, for whatever reason.
func (d *Daemon) Done() <-chan struct{} { return d.done }

// Exit tells why the daemon ended, with the tail of what it said: nil after
// Stop. It is meaningful once Done is closed.
func (d *Daemon) Exit() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// PID is the daemon's process id on the host; it may have children.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Log is the tail of what the daemon wrote.
func (d *Daemon) Log() string { return d.log.String() }

// SPDX-License-Identifier: Apache-2.0

package sandboxns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/agent/thread"
)

// Namespaces are the pod's. Empty paths are namespaces it does not have. They
// are not safe for concurrent use.
type Namespaces struct {
	IPC, UTS, PID string
	// User is the user namespace that the others belong to; empty is the
	// guest's own.
	User string
	// Net is the network namespace that belongs to User; empty without one: the
	// guest's own is the pod's then.
	Net string

	// root is the guest's id of root in User.
	root   uint32
	anchor *os.Process
	// held are those that a bind mount holds.
	held []string
}

// Config says what to make.
type Config struct {
	// Dir holds the bind mounts.
	Dir string
	// Hostname is set in the UTS namespace when it is not empty.
	Hostname string
}

// New makes the namespaces. On error nothing is left.
func New(c Config) (_ *Namespaces, err error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the pod's namespaces: %w", err)
	}
	n := &Namespaces{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.IPC, err = n.hold(filepath.Join(c.Dir, "ipc"), unix.CLONE_NEWIPC, nil); err != nil {
		return nil, err
	}
	name := func() error {
		if c.Hostname == "" {
			return nil
		}
		return unix.Sethostname([]byte(c.Hostname))
	}
	if n.UTS, err = n.hold(filepath.Join(c.Dir, "uts"), unix.CLONE_NEWUTS, name); err != nil {
		return nil, err
	}
	return n, nil
}

// hold makes a namespace, runs setup in it and binds it to path.
func (n *Namespaces) hold(path string, flag int, setup func() error) (string, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY|unix.O_CLOEXEC, 0o400)
	if err != nil {
		return "", fmt.Errorf("make the mount point of a namespace: %w", err)
	}
	_ = f.Close()
	err = thread.Run(func() error {
		if err := unix.Unshare(flag); err != nil {
			return fmt.Errorf("make a namespace for %s: %w", path, err)
		}
		if setup != nil {
			if err := setup(); err != nil {
				return fmt.Errorf("set up the namespace at %s: %w", path, err)
			}
		}
		source := fmt.Sprintf("/proc/self/task/%d/ns/%s", unix.Gettid(), filepath.Base(path))
		if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("hold a namespace at %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	n.held = append(n.held, path)
	return path, nil
}

// StartPID makes the PID namespace, whose anchor r starts and collects. One that
// is there stays.
func (n *Namespaces) StartPID(r *reaper.Reaper) error {
	if n.PID != "" {
		return nil
	}
	cmd := anchor()
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Setsid: true}
	if err := n.startAnchor(cmd, r); err != nil {
		return fmt.Errorf("start the anchor of the pod's PID namespace: %w", err)
	}
	n.PID = fmt.Sprintf("/proc/%d/ns/pid", cmd.Process.Pid)
	return nil
}

func (n *Namespaces) startAnchor(cmd *exec.Cmd, r *reaper.Reaper) error {
	exited, err := r.Start(cmd)
	if err != nil {
		return err
	}
	// It ends with the anchor, which Close kills.
	go func() {
		<-exited
		_ = cmd.Wait()
	}()
	n.anchor = cmd.Process
	return nil
}

// Set sets kernel parameters by name ("net.ipv4.ip_forward") in the pod's
// namespaces; those that belong to none are the guest's.
func (n *Namespaces) Set(values map[string]string) error {
	if len(values) == 0 {
		return nil
	}
	for name, value := range values {
		err := n.set(name, value, func() error { return nil })
		if errors.Is(err, fs.ErrPermission) && n.User != "" {
			// Those of IPC are for the root of the namespace's owner alone.
			err = n.set(name, value, n.becomeRoot)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// set sets one kernel parameter in the pod's namespaces, on a thread that become
// has changed.
func (n *Namespaces) set(name, value string, become func() error) error {
	return thread.Run(func() error {
		if err := errors.Join(enter(n.IPC, unix.CLONE_NEWIPC), enter(n.UTS, unix.CLONE_NEWUTS), enter(n.Net, unix.CLONE_NEWNET), become()); err != nil {
			return err
		}
		return setParameter(name, value)
	})
}

// becomeRoot makes the calling thread that of the user namespace's root, as far
// as the guest's own namespace knows him. The system call, unlike unix.Setresuid,
// is about the thread alone.
func (n *Namespaces) becomeRoot() error {
	const same = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(n.root), same); errno != 0 {
		return fmt.Errorf("become user %d of the guest: %w", n.root, errno)
	}
	return nil
}

func enter(path string, flag int) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open a namespace of the pod: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Setns(int(f.Fd()), flag); err != nil {
		return fmt.Errorf("enter the namespace %s: %w", path, err)
	}
	return nil
}

func setParameter(name, value string) error {
	path, err := parameterPath(name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("set the kernel parameter %s: %w", name, err)
	}
	return nil
}

// parameterPath follows sysctl(8): dots separate directories and slashes stand
// for dots inside a name, unless the first separator is a slash.
func parameterPath(name string) (string, error) {
	i := strings.IndexAny(name, "./")
	if i > 0 && name[i] == '.' {
		name = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, name)
	}
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q is not the name of a kernel parameter", name)
	}
	return filepath.Join("/proc/sys", name), nil
}

// Close ends the anchor and lets the namespaces go. It may be called twice.
func (n *Namespaces) Close() error {
	var errs []error
	if n.anchor != nil {
		if err := n.anchor.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, fmt.Errorf("end the anchor of the pod's PID namespace: %w", err))
		}
	}
	for _, path := range n.held {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("let the namespace %s go: %w", path, err))
			continue
		}
		errs = append(errs, os.Remove(path))
	}
	*n = Namespaces{}
	return errors.Join(errs...)
}

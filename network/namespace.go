// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NewNamespace makes an empty network namespace that lives until
// [DeleteNamespace], bound to the new file path, with its loopback device up.
// The error is ErrAlreadyExists when path exists.
func NewNamespace(path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the directory of network namespace %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY|unix.O_CLOEXEC, 0o444)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make network namespace %s: %w", path, errdefs.ErrAlreadyExists)
	}
	if err != nil {
		return fmt.Errorf("make the file of network namespace %s: %w", path, err)
	}
	_ = f.Close()
	defer func() {
		if err != nil {
			_ = DeleteNamespace(path)
		}
	}()
	err = onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		return os.NewSyscallError("mount",
			unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, ""))
	})
	if err != nil {
		return fmt.Errorf("make network namespace %s: %w", path, err)
	}
	return raiseLoopback(path)
}

func raiseLoopback(path string) error {
	ns, err := open(path)
	if err != nil {
		return err
	}
	defer ns.close()
	lo, err := ns.LinkByName("lo")
	if err == nil {
		err = ns.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bring up the loopback device of %s: %w", path, err)
	}
	return nil
}

// DeleteNamespace undoes [NewNamespace]. The kernel keeps the namespace for as
// long as processes or sockets are in it. A path that is not there is success.
func DeleteNamespace(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount network namespace %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the file of network namespace %s: %w", path, err)
	}
	return nil
}

// namespace is an open network namespace and a netlink socket in it, so that
// work in the namespace needs no thread to switch to it.
type namespace struct {
	*netlink.Handle
	path string
	fd   netns.NsHandle
}

// open opens a namespace. The error is ErrNotFound when path is absent or a
// file that is no namespace (any more).
func open(path string) (*namespace, error) {
	fd, err := netns.GetFromPath(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open network namespace %s: %w", path, errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", path, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(fd), &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		_ = fd.Close()
		return nil, fmt.Errorf("open network namespace %s: the file is no namespace: %w",
			path, errdefs.ErrNotFound)
	}
	ns := &namespace{path: path, fd: fd}
	// The library can do so by itself, and then forgets which error it was.
	err = ns.enter(func() (err error) {
		ns.Handle, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		_ = fd.Close()
		return nil, fmt.Errorf("open a netlink socket in network namespace %s: %w", path, err)
	}
	return ns, nil
}

func (n *namespace) close() {
	n.Close()
	_ = n.fd.Close()
}

// enter runs f on a thread that is in the namespace.
func (n *namespace) enter(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(n.fd); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.path, err)
		}
		return f()
	})
}

// onOwnThread runs f, which may change the thread's network namespace, on a
// thread that nothing else uses meanwhile. A thread that can't be brought back
// ends with its goroutine.
func onOwnThread(f func() error) error {
	result := make(chan error, 1)
	// It ends with f; the caller waits.
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			result <- fmt.Errorf("open the thread's own network namespace: %w", err)
			return
		}
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		_ = home.Close()
		result <- err
	}()
	return <-result
}

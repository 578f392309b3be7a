// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watcher tells that a network namespace has changed. It is not for concurrent
// use, but for Close.
type Watcher struct {
	file *os.File
	raw  syscall.RawConn
	path string
}

// Watch begins to watch links, addresses and routes in the namespace bound to
// nsPath. What changes from now on is told by [Watcher.Wait]; what changes and
// how is [Scan]'s to find out. The error is ErrNotFound when nsPath is no
// namespace.
func Watch(nsPath string) (*Watcher, error) {
	ns, err := open(nsPath)
	if err != nil {
		return nil, err
	}
	defer ns.close()
	w := &Watcher{path: nsPath}
	err = ns.enter(func() (err error) {
		w.file, err = subscribe()
		return err
	})
	if err == nil {
		w.raw, err = w.file.SyscallConn()
	}
	if err != nil {
		return nil, fmt.Errorf("watch network namespace %s: %w", nsPath, err)
	}
	return w, nil
}

// subscribe opens a netlink socket in the thread's namespace that hears of
// changes, see rtnetlink(7).
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
		unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// Wait returns when something has changed since the last Wait returned. Many
// changes in a row may be one. After Close it fails with os.ErrClosed.
func (w *Watcher) Wait() error {
	var failed error
	err := w.raw.Read(func(fd uintptr) (done bool) {
		done, failed = drain(int(fd))
		return done
	})
	if err != nil { // of package poll, and nothing else closes the file
		failed = os.ErrClosed
	}
	if failed != nil {
		return fmt.Errorf("watch network namespace %s: %w", w.path, failed)
	}
	return nil
}

// drain takes all messages that are there, and tells whether there was one.
func drain(fd int) (any bool, err error) {
	var some [1]byte // what a message says does not matter
	for {
		_, _, err := unix.Recvfrom(fd, some[:], unix.MSG_TRUNC)
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS): // the latter: there were too many
			any = true
		case errors.Is(err, unix.EAGAIN):
			return any, nil
		case !errors.Is(err, unix.EINTR):
			return true, os.NewSyscallError("recvfrom", err)
		}
	}
}

// Close ends the watch, and a Wait that is under way.
func (w *Watcher) Close() error { return w.file.Close() }

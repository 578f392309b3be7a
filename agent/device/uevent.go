// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// kernelGroup is the multicast group on which the kernel itself sends uevents.
const kernelGroup = 1

// Hub tells of the kernel's uevents. Make it with [NewHub] and keep [Hub.Run]
// running.
type Hub struct {
	socket *os.File

	// mu guards what follows.
	mu sync.Mutex
	// changed is closed, and made anew, at each uevent.
	changed chan struct{}
}

// NewHub begins to listen.
func NewHub() (*Hub, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("listen to the kernel's uevents: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen to the kernel's uevents: %w", err)
	}
	return &Hub{socket: os.NewFile(uintptr(fd), "uevents"), changed: make(chan struct{})}, nil
}

// Run passes uevents on until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = h.socket.Close() })
	defer stop()
	buf := make([]byte, 16<<10)
	for {
		_, err := h.socket.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		// An overrun lost events, so something has changed all the same.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("read the kernel's uevents: %w", err)
		}
		h.Poke()
	}
}

// Poke makes those who wait look again, as a uevent does.
func (h *Hub) Poke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// next returns a channel that is closed at the next uevent.
func (h *Hub) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// Await calls find now and after every uevent, until it finds, fails with
// anything but fs.ErrNotExist, or ctx ends. A uevent says only that something
// has changed; sysfs says what is.
func Await[T any](ctx context.Context, h *Hub, find func() (T, error)) (T, error) {
	for {
		changed := h.next()
		found, err := find()
		if err == nil || !missing(err) {
			return found, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return found, fmt.Errorf("%w (waited for the kernel to show it: %w)", err, context.Cause(ctx))
		}
	}
}

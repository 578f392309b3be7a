// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
)

// Vsock dials guest ports over AF_VSOCK, which on a host with vhost-vsock
// reaches the guest through the kernel alone, see vsock(7).
type Vsock struct {
	// CID is the context id that the VM was given; 3 or more.
	CID   uint32
	conns tracker
}

// NewVsock returns a dialer for the VM with the context id cid.
func NewVsock(cid uint32) *Vsock {
	return &Vsock{CID: cid}
}

// Dial implements [Dialer].
func (v *Vsock) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	return untilListening(ctx, port, func() (net.Conn, error) {
		if v.conns.isClosed() {
			return nil, net.ErrClosed
		}
		c, err := vsock.DialContext(ctx, v.CID, port, nil)
		if notYet(err) {
			return nil, fmt.Errorf("%w: %w", refused(port), err)
		}
		if err != nil {
			return nil, err
		}
		return v.conns.add(c)
	})
}

// notYet reports errors that a guest gives while it boots: the kernel resets
// when nobody listens, has no device while the VM does not run, or times out
// when the guest's driver is not up (two seconds, SO_VM_SOCKETS_CONNECT_TIMEOUT).
func notYet(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains([]syscall.Errno{
		unix.ECONNRESET, unix.ECONNREFUSED, unix.ENODEV, unix.ETIMEDOUT, unix.EHOSTUNREACH, unix.EINTR,
	}, errno)
}

// Close implements [Dialer].
func (v *Vsock) Close() error {
	v.conns.close()
	return nil
}

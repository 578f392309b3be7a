// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxQueues is the kernel's bound on the queues of a TAP (MAX_TAP_QUEUES).
const maxQueues = 256

// addrGenModeNone is IN6_ADDR_GEN_MODE_NONE of linux/if_link.h.
const addrGenModeNone = 1

// Tap is a TAP device that stands for an endpoint, see [Connect].
type Tap struct {
	// Name is that of the link, in the endpoint's namespace.
	Name string
	// Files has one open queue per entry, to be handed to the VMM. Every frame
	// begins with a virtio_net_hdr (IFF_VNET_HDR); its size and the offloads
	// are the VMM's to set (TUNSETVNETHDRSZ, TUNSETOFFLOAD).
	Files []*os.File
}

// Close closes the queues and leaves the rest to [Disconnect]. The kernel
// removes the TAP itself when the VMM's copies are closed too, unless it was
// made with Options.Persistent.
func (t *Tap) Close() error {
	var errs []error
	for _, f := range t.Files {
		errs = append(errs, f.Close())
	}
	t.Files = nil
	return errors.Join(errs...)
}

// TapName is the name of the TAP for the index-th endpoint of a namespace.
func TapName(index int) string {
	return "tap" + strconv.Itoa(index) + "_kata"
}

// isOwnTap reports whether [Connect] made the link, under its usual name.
func isOwnTap(l netlink.Link) bool {
	name := l.Attrs().Name
	if !isTun(l) || !strings.HasPrefix(name, "tap") || !strings.HasSuffix(name, "_kata") {
		return false
	}
	_, err := strconv.ParseUint(name[len("tap"):len(name)-len("_kata")], 10, 32)
	return err == nil
}

// isTun reports TUN and TAP devices, whichever name the library has for them.
func isTun(l netlink.Link) bool {
	return l.Type() == kindTun || l.Type() == kindTuntap
}

// newTap makes a TAP in the namespace.
func newTap(ns *namespace, name string, o Options) (*Tap, error) {
	queues := max(o.Queues, 1)
	switch {
	case queues > maxQueues:
		return nil, fmt.Errorf("make TAP %s: %d queues are more than the kernel's %d: %w",
			name, queues, maxQueues, errdefs.ErrInvalidArgument)
	case len(name) >= unix.IFNAMSIZ:
		return nil, fmt.Errorf("make TAP %s: the name has more than %d bytes: %w",
			name, unix.IFNAMSIZ-1, errdefs.ErrInvalidArgument)
	}
	// A TAP of that name would be opened instead of made.
	if _, err := ns.LinkByName(name); err == nil {
		return nil, fmt.Errorf("make TAP %s in %s: %w", name, ns.path, errdefs.ErrAlreadyExists)
	}
	t := &Tap{Name: name}
	err := ns.enter(func() error {
		for range queues {
			f, err := openQueue(name, queues > 1)
			if err != nil {
				return err
			}
			t.Files = append(t.Files, f)
		}
		return nil
	})
	if err == nil && o.Persistent {
		err = persist(t.Files[0])
	}
	if err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("make TAP %s in %s: %w", name, ns.path, err)
	}
	return t, nil
}

// openQueue opens a queue of a TAP, which makes the TAP if there is none. The
// TAP is made in the namespace of the thread that opens the control device.
func openQueue(name string, multi bool) (*os.File, error) {
	const control = "/dev/net/tun"
	fd, err := unix.Open(control, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: load the tun module", control, err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		flags := uint16(unix.IFF_TAP | unix.IFF_VNET_HDR | unix.IFF_NO_PI)
		if multi {
			flags |= unix.IFF_MULTI_QUEUE
		}
		req.SetUint16(flags)
		err = os.NewSyscallError("TUNSETIFF", unix.IoctlIfreq(fd, unix.TUNSETIFF, req))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), control), nil
}

// persist makes a TAP outlive its queues.
func persist(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var ioctl error
	err = c.Control(func(fd uintptr) { ioctl = unix.IoctlSetInt(int(fd), unix.TUNSETPERSIST, 1) })
	return errors.Join(err, os.NewSyscallError("TUNSETPERSIST", ioctl))
}

// raise gives a TAP the endpoint's MTU and brings it up, without an IPv6
// address of its own: the namespace must not speak to the guest through it.
func raise(ns *namespace, name string, mtu int) (netlink.Link, error) {
	l, err := ns.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find TAP %s: %w", name, err)
	}
	// A kernel without IPv6 has no such mode, and no addresses either.
	err = ns.LinkSetIP6AddrGenMode(l, addrGenModeNone)
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, fmt.Errorf("keep IPv6 off TAP %s: %w", name, err)
	}
	if mtu > 0 {
		if err := ns.LinkSetMTU(l, mtu); err != nil {
			return nil, fmt.Errorf("set the MTU of TAP %s to %d: %w", name, mtu, err)
		}
	}
	if err := ns.LinkSetUp(l); err != nil {
		return nil, fmt.Errorf("bring up TAP %s: %w", name, err)
	}
	return l, nil
}

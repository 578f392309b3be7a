// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/confine"
)

// channelPort is the name of the serial port that carries the guest channel.
const channelPort = "katapod.mux"

// channelSocket is the name in Config.Dir of the guest channel's socket.
const channelSocket = "channel.sock"

// firstFD is the number of the first inherited descriptor after the standard
// three.
const firstFD = 3

// resources is what one start acquires before there is a process.
type resources struct {
	// inherited are the ends that QEMU gets, in the order of their numbers.
	inherited []*os.File
	// control and console are our ends.
	control, console *net.UnixConn
	// channel is the path of the guest channel's socket, "" under vsock.
	channel string
	memory  memory
	// root is all that QEMU sees of file systems.
	root *confine.Root
	in   inputs
}

// acquire opens everything that QEMU is given. On error nothing is left.
func acquire(ctx context.Context, cfg hypervisor.Config, accelerator string) (_ *resources, err error) {
	r := &resources{in: inputs{accelerator: accelerator, disks: map[string]diskFile{}, queues: map[string]queueFDs{}, shares: map[string]int{}}}
	defer func() {
		if err != nil {
			r.closeInherited()
			r.close(false)
		}
	}()
	if r.control, r.in.control, err = r.pair("control"); err != nil {
		return nil, err
	}
	if r.console, r.in.console, err = r.pair("console"); err != nil {
		return nil, err
	}
	if err := r.openChannel(ctx, cfg.Dir); err != nil {
		return nil, err
	}
	for _, n := range cfg.NICs {
		if err := r.openQueues(n); err != nil {
			return nil, err
		}
	}
	if err := r.openFiles(ctx, cfg); err != nil {
		return nil, err
	}
	if r.root, err = rootFor(ctx, cfg, accelerator); err != nil {
		return nil, err
	}
	return r, r.openMemory(ctx, cfg)
}

// give hands f to QEMU and returns the number it will have there.
func (r *resources) give(f *os.File) int {
	r.inherited = append(r.inherited, f)
	return firstFD + len(r.inherited) - 1
}

// pair makes a connected socket pair, one end for us, one for QEMU.
func (r *resources) pair(name string) (*net.UnixConn, int, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("make the socket pair for QEMU's %s: %w", name, err)
	}
	number := r.give(os.NewFile(uintptr(fds[1]), name))
	ours := os.NewFile(uintptr(fds[0]), name)
	defer ours.Close() // FileConn has its own copy.
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, 0, fmt.Errorf("use the socket pair for QEMU's %s: %w", name, err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, 0, errors.Join(fmt.Errorf("the socket pair for QEMU's %s is no unix socket", name), conn.Close())
	}
	return unixConn, number, nil
}

// openChannel takes a vsock context id where the host has vhost-vsock, and
// otherwise listens on a socket for the serial channel.
func (r *resources) openChannel(ctx context.Context, dir string) error {
	dev, cid, err := openVsock(ctx, vsockDevice)
	if err != nil {
		return err
	}
	if dev != nil {
		r.in.vsock, r.in.cid = r.give(dev), cid
		return nil
	}
	path := filepath.Join(dir, channelSocket)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("listen for the guest channel: %w", err)
	}
	r.channel = path
	l.SetUnlinkOnClose(false)
	defer l.Close() // QEMU's copy goes on listening.
	f, err := l.File()
	if err != nil {
		return fmt.Errorf("hand on the socket of the guest channel: %w", err)
	}
	r.in.channel = r.give(f)
	return nil
}

// openQueues copies the descriptors of a NIC, which stay the caller's.
func (r *resources) openQueues(n hypervisor.NIC) error {
	var q queueFDs
	for _, set := range []struct {
		from []int
		to   *[]int
	}{{n.TapFDs, &q.tap}, {n.VhostFDs, &q.vhost}} {
		for _, fd := range set.from {
			copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("network device %s: copy queue descriptor %d: %w", n.ID, fd, err)
			}
			*set.to = append(*set.to, r.give(os.NewFile(uintptr(copied), n.ID)))
		}
	}
	r.in.queues[n.ID] = q
	return nil
}

// closeInherited closes our copies of what QEMU has.
func (r *resources) closeInherited() {
	if r.root != nil {
		_ = r.root.Close() // QEMU's own stays.
		r.root = nil
	}
	for _, f := range r.inherited {
		_ = f.Close() // A copy: QEMU's stays open.
	}
	r.inherited = nil
}

// close releases our ends, and removes the socket and a memory file that was not
// saved.
func (r *resources) close(saved bool) {
	r.memory.close(saved)
	for _, c := range []*net.UnixConn{r.control, r.console} {
		if c != nil {
			_ = c.Close() // It may be closed already; either way it is gone.
		}
	}
	if r.channel != "" {
		_ = os.Remove(r.channel) // The caller removes Dir if this fails.
	}
}

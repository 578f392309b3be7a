// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"net"
	"net/netip"
	"os"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/storage"
)

// Drivers are a pod's seams to the host. [DefaultDrivers] gives the real ones;
// all fields
// but Templates and EnterStart are needed.
type Drivers struct {
	// Check finds what can be known to be wrong before anything is acquired.
	Check func(config.Config) error
	// NewVM makes a VM that is not started.
	NewVM func(hypervisor.Config) (hypervisor.VM, error)
	// UserClaims is the directory of the claims of users for VMMs, one for all pods of
	// the host.
	UserClaims string
	// EnterStart waits for a place among the pods of the host that start, until its
	// context ends; nil lets all start at once. The place is given back by leave.
	EnterStart func(context.Context) (leave func(), err error)
	// Templates are the saved VMs that pods can start from; nil for none.
	Templates Templates
	// NewCgroup makes the pod's cgroup; RemoveCgroup removes one by its path
	// and takes one that is gone for removed. Removal waits, until its context
	// ends, for processes in the group that are ending.
	NewCgroup    func(path string, l hostcgroup.Limits) (Cgroup, error)
	RemoveCgroup func(ctx context.Context, path string) error
	// KillCgroup kills what runs in a pod's cgroup; one that is gone is empty.
	KillCgroup func(path string) error
	// Network is what is done in network namespaces.
	Network Network
	// OpenVhostNet opens the kernel's network back end, once per queue; none on
	// a host without.
	OpenVhostNet func(queues int) ([]*os.File, error)
	// StartShare runs the daemon that serves the share, listening already.
	StartShare func(ctx context.Context, c ShareConfig) (ShareDaemon, error)
	// Mounts mounts on the host.
	Mounts Mounter
	// Facts answers the storage planner.
	Facts storage.Facts
	// Mkfs puts an empty file system of that type on the file at path.
	Mkfs func(ctx context.Context, fsType, path string) error
	// KillProcess ends the process that has this start time, of proc(5), and
	// waits until it is gone. One that is gone, or whose pid belongs to another
	// process now, is no error.
	KillProcess func(ctx context.Context, pid, startTime string) error
	// Host tells the host's CPUs and memory in MiB.
	Host func() (cpus, memoryMiB int, err error)
}

// Cgroup is the pod's control group on the host.
type Cgroup interface {
	// Add moves a process into the group.
	Add(pid int) error
	// Update changes limits; a zero field leaves its limit as it is.
	Update(l hostcgroup.Limits) error
	// Stat is what the group used so far.
	Stat() (hostcgroup.Stats, error)
	// OOMKills is how many of its processes the kernel killed for lack of memory.
	OOMKills() (uint64, error)
}

// Network is what is done in network namespaces, which are named by path.
type Network interface {
	// Create makes a namespace; Remove undoes it and takes one that is gone for
	// removed.
	Create(path string) error
	Remove(path string) error
	// Scan reads what a namespace holds.
	Scan(path string) (network.State, error)
	// Connect joins an endpoint to a new TAP device of that name and returns
	// its open queues, which the caller closes.
	Connect(path, tap string, ep network.Endpoint, queues int) ([]*os.File, error)
	// Disconnect undoes Connect. What is gone is no error.
	Disconnect(path, tap, device string) error
	// Steer brings every new TCP connection to the namespace's loopback to the
	// listener, see network.Steer, until that is closed.
	Steer(path string) (net.Listener, error)
	// Dial connects from within a namespace, see network.Dial.
	Dial(ctx context.Context, path, transport string, to netip.AddrPort) (net.Conn, error)
	// Watch tells when links, addresses or routes of a namespace change.
	Watch(path string) (NetworkChanges, error)
}

// NetworkChanges are those of a network namespace, see network.Watcher.
type NetworkChanges interface {
	// Wait returns when something has changed since it last returned.
	Wait() error
	// Close ends the watch, and a Wait under way.
	Close() error
}

// ShareConfig is what the daemon of the share is started with.
type ShareConfig struct {
	// Binary is virtiofsd's path; Socket is where it listens; Dir is what it
	// serves; Cache and ExtraArgs are passed on; Debug makes it talkative.
	Binary, Socket, Dir, Cache string
	Debug                      bool
	ExtraArgs                  []string
	// Spawned is called with each of its process ids at once after it began.
	Spawned func(pid int) error
}

// ShareDaemon is a running virtiofsd.
type ShareDaemon interface {
	// Done is closed when it has ended; Exit says why, nil after Stop.
	Done() <-chan struct{}
	Exit() error
	// Stop ends it. It may be called more than once.
	Stop(ctx context.Context) error
}

// Mounter mounts on the host.
type Mounter interface {
	// Share makes dir a mount point whose later mounts propagate to copies of
	// the mount namespace.
	Share(dir string) error
	// Mount mounts at target, an existing directory.
	Mount(m storage.HostMount, target string) error
	// Bind binds what is shared to target, both existing.
	Bind(share storage.Share, target string) error
	// Unmount takes every mount at target away. No mount is no error.
	Unmount(target string) error
}

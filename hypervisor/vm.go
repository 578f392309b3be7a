// SPDX-License-Identifier: Apache-2.0

package hypervisor

import (
	"context"
	"time"

	"github.com/katapod/katapod/protocols/transport"
)

// VM is one virtual machine. All methods are safe for concurrent use.
type VM interface {
	// Start boots the VM, or brings up a clone of a saved one (Config.From). It
	// returns when the VMM runs the guest's first instruction, or with
	// Config.Held could run it; not when the agent answers. On error nothing is
	// left: no process, socket or file. Start may be called once.
	Start(ctx context.Context) error
	// Stop kills the VMM and releases all that Start acquired. It may be called
	// in any state and more than once, and does not ask the guest.
	Stop(ctx context.Context) error
	// Done is closed when the VMM has ended, for whatever reason.
	Done() <-chan struct{}
	// Exit tells why the VMM ended. It is meaningful once Done is closed.
	Exit() Exit
	// Dialer reaches ports inside the guest. The VM owns it.
	Dialer() transport.Dialer
	// Describe tells what runs, for logs, metrics and cgroups.
	Describe() Description
}

// Exit is why and when a VMM ended.
type Exit struct {
	// At is when the end was noticed.
	At time.Time
	// Cause is nil after Stop; otherwise a sentence about what happened: the
	// signal or status of the VMM, a guest panic, an unusable accelerator.
	Cause error
	// Console is the tail of the guest's console, at most a few KiB.
	Console string
	// Log is the tail of what the VMM wrote to standard error.
	Log string
}

// Description is what a running VM is made of.
type Description struct {
	// VMM is the name users know, for instance "qemu"; Version as it reports itself.
	VMM, Version string
	// Accelerator is "kvm" or "tcg".
	Accelerator string
	// PID is the VMM's process id on the host, 0 before Start.
	PID int
	// Helpers are further processes that belong to the VM.
	Helpers []int
	// VCPUs and MemoryMiB are what the guest has now.
	VCPUs     int
	MemoryMiB int
}

// Config is all that shapes a VM. It is a value: a driver keeps a copy.
type Config struct {
	// ID names the VM in logs and process names; the sandbox id.
	ID string
	// Dir is a private directory that exists and that the caller owns and
	// removes. The driver keeps sockets in it; its path is at most 60 bytes,
	// since a unix socket path is limited to 107.
	Dir string
	// Binary is the path of the VMM.
	Binary string
	// NetNS is the path of the network namespace that the VMM's process runs
	// in; empty means the caller's. Engines look for a pod's interfaces in the
	// namespace of the process that stands for the pod, which is the VMM.
	NetNS string
	// User is the user and group id that the VMM runs as, which nothing else does. 0,
	// for callers that run no more than one, is the overflow user, 65534: no VMM runs
	// as root.
	User int
	// Machine is the VMM's machine type; empty means the driver's choice.
	Machine string
	// CPUFeatures is appended to the CPU model, for instance "pmu=off".
	CPUFeatures string
	// Accelerator is "kvm", "tcg", or empty: KVM where it truly works.
	Accelerator string
	// Kernel is the path of a kernel image, a vmlinux or bzImage.
	Kernel string
	// Initrd and Image are paths; exactly one is set. Image is a read-only
	// root disk with a file system of type ImageType ("erofs", "ext4").
	Initrd, Image, ImageType string
	// KernelParams are appended to the driver's own parameters.
	KernelParams []string
	// VCPUs is at least 1; MemoryMiB is the guest's memory.
	VCPUs, MemoryMiB int
	// MaxVCPUs and MaxMemoryMiB bound later growth; 0 means no growth.
	MaxVCPUs, MaxMemoryMiB int
	// MemorySlots is how often memory can be plugged, see [MemoryPlugger].
	MemorySlots int
	// Disks and NICs are present at boot, in this order, after the image.
	Disks []Disk
	NICs  []NIC
	// Shares are file systems served by vhost-user daemons that listen already.
	Shares []Share
	// EntropySource is the file that feeds the guest's random number device;
	// empty means /dev/urandom.
	EntropySource string
	// FreePageReporting gives pages that the guest freed back to the host.
	FreePageReporting bool
	// HotplugSlots is how many devices can be plugged later.
	HotplugSlots int
	// LaterShares says that a share may be plugged while the VM runs. Its
	// memory is then of a kind that a file system daemon can map, and its kernel
	// behaves as with a share from the start.
	LaterShares bool
	// Held keeps the guest from running its first instruction: Start returns as
	// soon as devices can be plugged, and [Pauser]'s Resume lets the guest run.
	Held bool
	// SaveTo, if set, makes a VM that can be saved, see [Snapshotter]. It has no
	// shares.
	SaveTo *Snapshot
	// From, if set, starts a clone of a saved VM. What shapes the VM must be as
	// it was in the one that was saved; the clone begins without disks, NICs and
	// shares, which are plugged later, best while it is Held.
	From *Snapshot
	// Debug keeps the guest's kernel talkative on its console.
	Debug bool
	// Spawned, if set, is called with each process id at once after the process
	// began and before the guest runs, so that it can be put in a cgroup and
	// recorded. An error makes Start fail and kill the process.
	Spawned func(pid int) error `json:"-"`
}

// Disk is a block device of the guest backed by a file or device of the host.
type Disk struct {
	// ID is unique in the VM: letters, digits and dashes, at most 20 bytes; the
	// guest sees it as the disk's serial number.
	ID string
	// Path is a regular file or block device on the host, in raw format.
	Path string
	// ReadOnly is enforced by the VMM.
	ReadOnly bool
}

// NIC is a network device of the guest backed by a TAP device.
type NIC struct {
	// ID is unique in the VM.
	ID string
	// MAC is the address that the guest sees, "02:00:00:00:00:01".
	MAC string
	// MTU is announced to the guest when it is not 0.
	MTU int
	// TapFDs are open queues of the TAP device (IFF_VNET_HDR), one per queue
	// pair. The caller keeps ownership and may close them after the call that
	// takes the NIC.
	TapFDs []int
	// VhostFDs are open /dev/vhost-net descriptors, one per queue, or none.
	VhostFDs []int
}

// Share is a file system of the host, offered to the guest under a tag.
type Share struct {
	// Tag is what the guest mounts.
	Tag string
	// Socket is where the vhost-user file system daemon listens.
	Socket string
	// QueueSize is the length of the request queue; 0 means 1024.
	QueueSize int
}

// PCIPath locates a device in the guest: the slot of each bridge from the root
// bus and the slot of the device itself, two hexadecimal digits each, joined by
// "/", for instance "03/00".
type PCIPath string

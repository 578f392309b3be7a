// SPDX-License-Identifier: Apache-2.0

package config

// Values of Hypervisor.SharedFS.
const (
	SharedFSVirtioFS = "virtio-fs"
	SharedFSNone     = "none"
)

// Hypervisor is what the section [hypervisor.qemu] says.
type Hypervisor struct {
	// Name is the section's last part; this version knows "qemu".
	Name string `toml:"-"`
	// Path is the VMM's binary.
	Path string `toml:"path"`
	// ValidPaths are globs that a path annotation must match.
	ValidPaths []string `toml:"valid_hypervisor_paths"`
	// VMMUsers is a range of user ids, "first-last". Each pod's VMM runs as one of them
	// that nothing else runs as; builders of templates as the first. It is a key of this
	// project.
	VMMUsers string `toml:"vmm_users"`
	// Kernel is the guest's kernel.
	Kernel string `toml:"kernel"`
	// Initrd and Image exclude each other; setting one in a drop-in or an
	// annotation takes the place of the other.
	Initrd string `toml:"initrd"`
	Image  string `toml:"image"`
	// RootfsType is the file system of Image: "erofs", "ext4" or "xfs". The
	// default is the type of this project's own image, unlike upstream's ext4.
	RootfsType string `toml:"rootfs_type"`
	// MachineType is the VMM's machine type; empty is the driver's choice.
	MachineType string `toml:"machine_type"`
	// Accelerator is "kvm", "tcg" or empty for KVM where it works. It is a key
	// of this project; upstream has none.
	Accelerator string `toml:"accelerator"`
	// CPUFeatures is appended to the CPU model, "pmu=off" for instance.
	CPUFeatures string `toml:"cpu_features"`
	// KernelParams are appended to the kernel's command line.
	KernelParams string `toml:"kernel_params"`

	// DefaultVCPUs is what the guest has before containers ask for more;
	// negative means as many as the host has.
	DefaultVCPUs int `toml:"default_vcpus"`
	// DefaultMaxVCPUs bounds the guest; 0 means as many as the host has.
	DefaultMaxVCPUs int `toml:"default_maxvcpus"`
	// DefaultMemory is in MiB, at least [MinMemoryMiB].
	DefaultMemory int `toml:"default_memory"`
	// DefaultMaxMemory is in MiB; 0 means as much as the host has.
	DefaultMaxMemory int `toml:"default_maxmemory"`
	// MemorySlots is how often memory can be plugged; 0 keeps a VM as it starts.
	MemorySlots int `toml:"memory_slots"`
	// ReclaimGuestFreedMemory gives pages that the guest freed back to the host
	// through the balloon's free page reporting. On by default, unlike upstream.
	ReclaimGuestFreedMemory bool `toml:"reclaim_guest_freed_memory"`

	// SharedFS is SharedFSVirtioFS or SharedFSNone.
	SharedFS string `toml:"shared_fs"`
	// VirtioFSDaemon is virtiofsd's binary; empty means that it is looked for,
	// see Virtiofsd.
	VirtioFSDaemon string `toml:"virtio_fs_daemon"`
	// ValidVirtioFSDaemonPaths are globs that an annotation must match.
	ValidVirtioFSDaemonPaths []string `toml:"valid_virtio_fs_daemon_paths"`
	// VirtioFSCache is "auto", "always", "never" or "metadata"; "none" is the
	// old name of "never".
	VirtioFSCache string `toml:"virtio_fs_cache"`
	// VirtioFSExtraArgs are passed to virtiofsd as they are.
	VirtioFSExtraArgs []string `toml:"virtio_fs_extra_args"`
	// VirtioFSQueueSize is the length of the request queue.
	VirtioFSQueueSize int `toml:"virtio_fs_queue_size"`
	// DisableBlockDeviceUse keeps container roots and volumes off disks. False
	// by default, unlike upstream's QEMU template.
	DisableBlockDeviceUse bool `toml:"disable_block_device_use"`

	// PCIeRootPorts is how many devices can be plugged into the running VM; 0
	// is the default number of this project, 31.
	PCIeRootPorts int `toml:"pcie_root_port"`
	// EntropySource feeds virtio-rng.
	EntropySource string `toml:"entropy_source"`
	// ValidEntropySources are paths that an annotation must match.
	ValidEntropySources []string `toml:"valid_entropy_sources"`
	// DisableVhostNet keeps the network in the VMM's process.
	DisableVhostNet bool `toml:"disable_vhost_net"`
	// DisableImageNVDIMM is accepted and has no effect: the image is always a
	// virtio-blk disk, never an NVDIMM.
	DisableImageNVDIMM bool `toml:"disable_image_nvdimm"`
	// DisableGuestSELinux drops the SELinux labels of containers, for guests
	// without SELinux; false refuses them.
	DisableGuestSELinux bool `toml:"disable_guest_selinux"`
	// Debug makes VMM, virtiofsd and guest kernel talkative.
	Debug bool `toml:"enable_debug"`
	// EnableAnnotations are regular expressions over the names of annotations
	// below io.katacontainers.config.hypervisor. that a pod may use.
	EnableAnnotations []string `toml:"enable_annotations"`
}

// HotplugSlots is how many devices can be plugged into the running VM.
func (h Hypervisor) HotplugSlots() int {
	if h.PCIeRootPorts > 0 {
		return h.PCIeRootPorts
	}
	return defaultHotplugSlots
}

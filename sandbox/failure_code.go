// SPDX-License-Identifier: Apache-2.0

package sandbox

// Code names a kind of failure. Codes are stable: they appear in pod events.
type Code string

// The codes of failures.
const (
	CodeConfigInvalid       Code = "config-invalid"
	CodeKernelMissing       Code = "kernel-missing"
	CodeKernelCorrupt       Code = "kernel-corrupt"
	CodeImageMissing        Code = "image-missing"
	CodeImageCorrupt        Code = "image-corrupt"
	CodeVMMMissing          Code = "vmm-missing"
	CodeVMMFailed           Code = "vmm-failed"
	CodeVMMDied             Code = "vmm-died"
	CodeAcceleratorUnusable Code = "accelerator-unusable"
	CodeHostOOM             Code = "host-oom"
	CodeVirtiofsdMissing    Code = "virtiofsd-missing"
	CodeVirtiofsdDied       Code = "virtiofsd-died"
	CodeShareFailed         Code = "share-failed"
	CodeCgroupFailed        Code = "cgroup-failed"
	CodeNetworkUnsupported  Code = "network-unsupported"
	CodeNetworkFailed       Code = "network-failed"
	CodeGuestPanicked       Code = "guest-panicked"
	CodeAgentTimeout        Code = "agent-timeout"
	CodeAgentLost           Code = "agent-lost"
	CodeAgentFailed         Code = "agent-failed"
	CodeTooLarge            Code = "too-large"
	CodeCancelled           Code = "cancelled"
	CodeStopped             Code = "stopped"
	CodeInternal            Code = "internal"
)

// Codes lists all codes.
func Codes() []Code {
	return []Code{
		CodeConfigInvalid, CodeKernelMissing, CodeKernelCorrupt, CodeImageMissing, CodeImageCorrupt, CodeVMMMissing, CodeVMMFailed,
		CodeVMMDied, CodeHostOOM, CodeAcceleratorUnusable, CodeVirtiofsdMissing, CodeVirtiofsdDied, CodeShareFailed,
		CodeCgroupFailed, CodeNetworkUnsupported, CodeNetworkFailed, CodeGuestPanicked, CodeAgentTimeout,
		CodeAgentLost, CodeAgentFailed, CodeTooLarge, CodeCancelled, CodeStopped, CodeInternal,
	}
}

// Remedy is what a person can do, as a half sentence; empty for an unknown code.
func (c Code) Remedy() string {
	switch c {
	case CodeConfigInvalid:
		return "correct the configuration or the pod's annotations"
	case CodeKernelMissing:
		return "install the guest kernel, or correct \"kernel\" in the configuration"
	case CodeKernelCorrupt:
		return "install the guest kernel again, or correct \"kernel\" in the configuration: the file is no kernel"
	case CodeImageMissing:
		return "install the guest image, or correct \"image\" or \"initrd\" in the configuration"
	case CodeImageCorrupt:
		return "install the guest image again: the file is not of the type that \"rootfs_type\" names"
	case CodeVMMMissing:
		return "install the hypervisor, or correct \"path\" in the configuration"
	case CodeVMMFailed, CodeVMMDied:
		return "see the hypervisor's log that comes with this error, and the kernel's log for an out-of-memory kill"
	case CodeHostOOM:
		return "raise the pod's memory limit or lower the VM's memory: the pod's cgroup on the host was too small for its VM; please report the numbers"
	case CodeAcceleratorUnusable:
		return "enable hardware virtualization for this host, or set \"accelerator\" to \"tcg\""
	case CodeVirtiofsdMissing:
		return "install virtiofsd, or correct \"virtio_fs_daemon\" in the configuration"
	case CodeVirtiofsdDied, CodeShareFailed:
		return "see virtiofsd's log that comes with this error, and the kernel's log for an out-of-memory kill"
	case CodeCgroupFailed:
		return "check that the engine's cgroup driver fits the host and that cgroups are mounted"
	}
	return c.guestRemedy()
}

// guestRemedy is the part of Remedy about network, guest and the call itself.
func (c Code) guestRemedy() string {
	switch c {
	case CodeNetworkUnsupported:
		return "use a CNI plug-in whose interfaces can be joined to a VM, such as bridge or ptp"
	case CodeNetworkFailed:
		return "check the pod's network namespace, and that the modules tun, sch_ingress and cls_u32 are there"
	case CodeGuestPanicked:
		return "see the guest's console that comes with this error"
	case CodeAgentTimeout:
		return "see the guest's console that comes with this error; raise \"dial_timeout\" if the host is only slow"
	case CodeAgentLost, CodeAgentFailed:
		return "see the guest's console; check that the image's agent fits this runtime"
	case CodeTooLarge:
		return "lower the pod's limits, or raise the bounds in the configuration"
	case CodeCancelled, CodeStopped:
		return "nothing is wrong with the pod; create it again"
	case CodeInternal:
		return "report this with the runtime's log"
	}
	return ""
}

// SPDX-License-Identifier: Apache-2.0

package failure

// hostCodes are failures of what the host gives a pod.
func hostCodes() []Explanation {
	return append(inputCodes(), []Explanation{
		{HostOOM, "the host's kernel killed the VMM or virtiofsd for lack of memory",
			"the pod's cgroup on the host is too small for its VM, or the whole host ran out of memory",
			"raise the pod's memory limit or lower the VM's memory; if the host had enough, please report the numbers"},
		{HostExhausted, "the host ran out of something other than memory of a cgroup",
			"a full file system below state_dir, or a limit on open files, processes or memory",
			"free what the cause names, or raise its limit, and create the pod again"},
		{StateDirFailed, "the pod's directories could not be made",
			"state_dir lies on a file system that is read-only or not there",
			"check \"state_dir\" in the configuration and its file system"},
		{CgroupFailed, "the pod's cgroup on the host could not be made or joined",
			"an engine whose cgroup driver does not fit the host, or controllers that are not mounted",
			"check that the engine's cgroup driver fits the host and that cgroups are mounted"},
		{VirtiofsdMissing, "virtiofsd is not there or cannot be run",
			"a package that is not installed, or a wrong path",
			"install virtiofsd, or correct \"virtio_fs_daemon\" in the configuration"},
		{VirtiofsdDied, "virtiofsd ended under a pod that uses it",
			"a crash, or somebody killed it",
			"see virtiofsd's log that comes with this error, and the kernel's log for an out-of-memory kill"},
		{ShareFailed, "the file system that the pod shares with its guest could not be made",
			"virtiofsd does not start with the options of the configuration, or a mount was refused",
			"see virtiofsd's log that comes with this error, and \"virtio_fs_extra_args\" in the configuration"},
		{NetworkUnsupported, "the pod's network namespace has an interface that cannot be joined to a VM",
			"a CNI plug-in that makes interfaces of another kind",
			"use a CNI plug-in whose interfaces can be joined to a VM, such as bridge or ptp"},
		{NetworkFailed, "the pod's network could not be read, joined to the VM or set up in the guest",
			"a namespace that is gone, kernel modules that are missing, addresses that collide",
			"check the pod's network namespace, and that the modules tun, sch_ingress and cls_u32 are there"},
	}...)
}

// inputCodes are failures of what the pod is made from, found before it has anything.
func inputCodes() []Explanation {
	return []Explanation{
		{ConfigInvalid, "the configuration, the pod's annotations or its specification say what makes no sense",
			"a mistyped key or value, a file that is not where it should be",
			"correct the configuration or the pod's annotations as the cause says"},
		{Unsupported, "the pod asks for what this runtime, or its VMM, does not have",
			"a feature that docs/support.md lists as refused",
			"leave out what the cause names, or run this pod with another runtime"},
		{TooLarge, "the pod asks for more than the bounds of a VM on this host",
			"limits above the host's memory or CPUs, or above \"default_maxmemory\" or \"default_maxvcpus\"",
			"lower the pod's limits, or raise the bounds in the configuration"},
		{KernelMissing, "the guest's kernel is not there",
			"a file that is not installed, or a wrong path",
			"install the guest kernel, or correct \"kernel\" in the configuration"},
		{KernelCorrupt, "the guest's kernel is a file that cannot be booted",
			"a file that was cut off, or another file at its path",
			"install the guest kernel again, or correct \"kernel\" in the configuration: the file is no kernel"},
		{ImageMissing, "the guest's image or initrd is not there",
			"a file that is not installed, or a wrong path",
			"install the guest image, or correct \"image\" or \"initrd\" in the configuration"},
		{ImageCorrupt, "the guest's image is not of the type that it should have",
			"a file that was cut off, or a \"rootfs_type\" of another image",
			"install the guest image again: the file is not of the type that \"rootfs_type\" names"},
		{VMMMissing, "the VMM is not there or cannot be run",
			"a package that is not installed, or a wrong path",
			"install the hypervisor, or correct \"path\" in the configuration"},
		{AcceleratorUnusable, "the guest does not run with the accelerator that was chosen",
			"a host without hardware virtualization, or one that switches it off",
			"enable hardware virtualization for this host, or set \"accelerator\" to \"tcg\""},
		{VMMFailed, "the VMM did not start the guest",
			"options that this version of it refuses, or a device that cannot be opened",
			"see the VMM's log that comes with this error"},
	}
}

// guestCodes are failures of a VM that runs.
func guestCodes() []Explanation {
	return []Explanation{
		{VMMDied, "the VMM ended under its pod",
			"a crash, or somebody killed it",
			"see the VMM's log that comes with this error, and the kernel's log"},
		{GuestPanicked, "the guest's kernel panicked",
			"the death of the guest's agent, a kernel that does not fit the image, no memory left in the guest",
			"see the guest's console that comes with this error"},
		{GuestHangs, "the agent in the guest no longer answers, though its VMM runs",
			"a host that gives the VM no CPU for long, a VMM that somebody stopped, a guest that hangs",
			"see the guest's console that comes with this error, and the load of the host"},
		{GuestHostile, "the guest sent what no agent sends, and was ended for it",
			"somebody broke out of a container into the guest, or an agent of another version",
			"find out what ran in the pod; nothing of the host was in its reach but what the pod had"},
		{AgentTimeout, "the agent in the guest did not answer in time after the VM had started",
			"a slow host, an image without an agent, a guest that does not boot",
			"see the guest's console that comes with this error; raise \"dial_timeout\" if the host is only slow"},
		{AgentLost, "the connection to the agent in the guest broke, though its VMM runs",
			"the agent ended, or sent what it must not send",
			"see the guest's console; check that the image's agent fits this runtime"},
		{AgentFailed, "the agent in the guest refused to set the pod up",
			"an image whose agent is of another version, or whose kernel lacks a feature",
			"see the guest's console; check that the image's agent fits this runtime"},
	}
}

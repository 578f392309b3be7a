// SPDX-License-Identifier: Apache-2.0

package config

// Default is the configuration of an empty file.
func Default() Config {
	return Config{
		Hypervisor: defaultHypervisor(),
		Agent:      Agent{DialTimeout: 45},
		Runtime: Runtime{
			InternetworkingModel:      NetworkTCFilter,
			SandboxCgroupOnly:         true,
			StaticSandboxResourceMgmt: true,
			CreateContainerTimeout:    60,
			DisableGuestEmptyDir:      true,
			EmptyDirMode:              EmptyDirSharedFS,
			StateDir:                  "/run/vc",
		},
		Factory: Factory{EnableTemplate: true},
	}
}

// defaultHotplugSlots is the number of devices that can be plugged when
// pcie_root_port is 0: all that the driver's bridge has, since it costs a boot
// the same however many there are.
const defaultHotplugSlots = 31

func defaultHypervisor() Hypervisor {
	const qemu = "/usr/bin/qemu-system-x86_64"
	return Hypervisor{
		Name:                     "qemu",
		Path:                     qemu,
		ValidPaths:               []string{qemu},
		VMMUsers:                 defaultVMMUsers,
		Kernel:                   "/usr/share/kata-containers/vmlinux",
		Image:                    "/usr/share/kata-containers/kata-containers.img",
		RootfsType:               "erofs",
		MachineType:              "q35",
		CPUFeatures:              "pmu=off",
		DefaultVCPUs:             1,
		DefaultMemory:            2048,
		MemorySlots:              10,
		ReclaimGuestFreedMemory:  true,
		SharedFS:                 SharedFSVirtioFS,
		ValidVirtioFSDaemonPaths: usualVirtiofsd(),
		VirtioFSCache:            "auto",
		VirtioFSQueueSize:        1024,
		EntropySource:            "/dev/urandom",
		ValidEntropySources:      []string{"/dev/urandom", "/dev/random", ""},
		DisableImageNVDIMM:       true,
		DisableGuestSELinux:      true,
	}
}

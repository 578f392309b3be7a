// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"strings"
)

// annotationSetters are the annotations that this version knows, with upstream's
// names.
func annotationSetters() map[string]setter {
	all := map[string]setter{
		annotationRuntime + "disable_guest_seccomp":    truth(func(c *Config) *bool { return &c.Runtime.DisableGuestSeccomp }),
		annotationRuntime + "sandbox_cgroup_only":      truth(func(c *Config) *bool { return &c.Runtime.SandboxCgroupOnly }),
		annotationRuntime + "internetworking_model":    text(func(c *Config) *string { return &c.Runtime.InternetworkingModel }),
		annotationRuntime + "disable_new_netns":        truth(func(c *Config) *bool { return &c.Runtime.DisableNewNetNS }),
		annotationRuntime + "create_container_timeout": seconds(func(c *Config) *Seconds { return &c.Runtime.CreateContainerTimeout }),
		annotationAgent + "kernel_modules":             setKernelModules,
	}
	for name, set := range hypervisorSetters() {
		all[annotationHypervisor+name] = set
	}
	return all
}

func hypervisorSetters() map[string]setter {
	return map[string]setter{
		"path":                       text(func(c *Config) *string { return &c.Hypervisor.Path }),
		"kernel":                     text(func(c *Config) *string { return &c.Hypervisor.Kernel }),
		"image":                      setImage,
		"initrd":                     setInitrd,
		"kernel_params":              addKernelParams,
		"machine_type":               text(func(c *Config) *string { return &c.Hypervisor.MachineType }),
		"cpu_features":               text(func(c *Config) *string { return &c.Hypervisor.CPUFeatures }),
		"default_vcpus":              number(func(c *Config) *int { return &c.Hypervisor.DefaultVCPUs }),
		"default_max_vcpus":          number(func(c *Config) *int { return &c.Hypervisor.DefaultMaxVCPUs }),
		"default_memory":             number(func(c *Config) *int { return &c.Hypervisor.DefaultMemory }),
		"memory_slots":               number(func(c *Config) *int { return &c.Hypervisor.MemorySlots }),
		"pcie_root_port":             number(func(c *Config) *int { return &c.Hypervisor.PCIeRootPorts }),
		"entropy_source":             text(func(c *Config) *string { return &c.Hypervisor.EntropySource }),
		"shared_fs":                  text(func(c *Config) *string { return &c.Hypervisor.SharedFS }),
		"virtio_fs_daemon":           text(func(c *Config) *string { return &c.Hypervisor.VirtioFSDaemon }),
		"virtio_fs_cache":            text(func(c *Config) *string { return &c.Hypervisor.VirtioFSCache }),
		"virtio_fs_extra_args":       setVirtioFSArgs,
		"disable_block_device_use":   truth(func(c *Config) *bool { return &c.Hypervisor.DisableBlockDeviceUse }),
		"disable_vhost_net":          truth(func(c *Config) *bool { return &c.Hypervisor.DisableVhostNet }),
		"disable_image_nvdimm":       truth(func(c *Config) *bool { return &c.Hypervisor.DisableImageNVDIMM }),
		"reclaim_guest_freed_memory": truth(func(c *Config) *bool { return &c.Hypervisor.ReclaimGuestFreedMemory }),
	}
}

// setImage takes the place of an initrd, too.
func setImage(c *Config, value string) error {
	c.Hypervisor.Image, c.Hypervisor.Initrd = value, ""
	return nil
}

// setInitrd takes the place of an image, too.
func setInitrd(c *Config, value string) error {
	c.Hypervisor.Image, c.Hypervisor.Initrd = "", value
	return nil
}

// addKernelParams appends, as upstream does: the kernel takes the last of two
// equal parameters.
func addKernelParams(c *Config, value string) error {
	c.Hypervisor.KernelParams = strings.TrimSpace(c.Hypervisor.KernelParams + " " + value)
	return nil
}

// setVirtioFSArgs reads a JSON list of texts.
func setVirtioFSArgs(c *Config, value string) error {
	var args []string
	if err := json.Unmarshal([]byte(value), &args); err != nil {
		return fmt.Errorf(`allowed is a JSON list of texts, ["--a", "--b"]`)
	}
	c.Hypervisor.VirtioFSExtraArgs = args
	return nil
}

// setKernelModules reads modules with their parameters, separated by ";".
func setKernelModules(c *Config, value string) error {
	c.Agent.KernelModules = nil
	for module := range strings.SplitSeq(value, ";") {
		if module = strings.TrimSpace(module); module != "" {
			c.Agent.KernelModules = append(c.Agent.KernelModules, module)
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// permissive allows every annotation.
func permissive() Config {
	c := Default()
	c.Path = "/etc/kata-containers/configuration.toml"
	c.Hypervisor.EnableAnnotations = []string{".*"}
	c.Hypervisor.ValidPaths = []string{"/opt/qemu/*"}
	c.Hypervisor.ValidVirtioFSDaemonPaths = []string{"/opt/virtiofsd"}
	return c
}

func TestAnnotationsThatAreKnown(t *testing.T) {
	const h, r, a = annotationHypervisor, annotationRuntime, annotationAgent
	for _, c := range []struct {
		name, value string
		want        func(*Config)
	}{
		{h + "path", "/opt/qemu/q", func(c *Config) { c.Hypervisor.Path = "/opt/qemu/q" }},
		{h + "kernel", "/k", func(c *Config) { c.Hypervisor.Kernel = "/k" }},
		{h + "image", "/i", func(c *Config) { c.Hypervisor.Image = "/i" }},
		{h + "initrd", "/i", func(c *Config) { c.Hypervisor.Image, c.Hypervisor.Initrd = "", "/i" }},
		{h + "kernel_params", "quiet", func(c *Config) { c.Hypervisor.KernelParams = "quiet" }},
		{h + "machine_type", "", func(c *Config) { c.Hypervisor.MachineType = "" }},
		{h + "cpu_features", "", func(c *Config) { c.Hypervisor.CPUFeatures = "" }},
		{h + "default_vcpus", "4", func(c *Config) { c.Hypervisor.DefaultVCPUs = 4 }},
		{h + "default_max_vcpus", "8", func(c *Config) { c.Hypervisor.DefaultMaxVCPUs = 8 }},
		{h + "default_memory", "4096", func(c *Config) { c.Hypervisor.DefaultMemory = 4096 }},
		{h + "memory_slots", "2", func(c *Config) { c.Hypervisor.MemorySlots = 2 }},
		{h + "pcie_root_port", "3", func(c *Config) { c.Hypervisor.PCIeRootPorts = 3 }},
		{h + "entropy_source", "/dev/random", func(c *Config) { c.Hypervisor.EntropySource = "/dev/random" }},
		{h + "shared_fs", "none", func(c *Config) { c.Hypervisor.SharedFS = "none" }},
		{h + "virtio_fs_daemon", "/opt/virtiofsd", func(c *Config) { c.Hypervisor.VirtioFSDaemon = "/opt/virtiofsd" }},
		{h + "virtio_fs_cache", "never", func(c *Config) { c.Hypervisor.VirtioFSCache = "never" }},
		{h + "virtio_fs_extra_args", `["-a","-b"]`, func(c *Config) { c.Hypervisor.VirtioFSExtraArgs = []string{"-a", "-b"} }},
		{h + "disable_block_device_use", "true", func(c *Config) { c.Hypervisor.DisableBlockDeviceUse = true }},
		{h + "disable_vhost_net", "true", func(c *Config) { c.Hypervisor.DisableVhostNet = true }},
		{h + "disable_image_nvdimm", "false", func(c *Config) { c.Hypervisor.DisableImageNVDIMM = false }},
		{h + "reclaim_guest_freed_memory", "false", func(c *Config) { c.Hypervisor.ReclaimGuestFreedMemory = false }},
		{h + "enable_virtio_mem", "false", func(*Config) {}},
		{r + "disable_guest_seccomp", "true", func(c *Config) { c.Runtime.DisableGuestSeccomp = true }},
		{r + "sandbox_cgroup_only", "false", func(c *Config) { c.Runtime.SandboxCgroupOnly = false }},
		{r + "internetworking_model", "none", func(c *Config) { c.Runtime.InternetworkingModel = "none" }},
		{r + "disable_new_netns", "false", func(*Config) {}},
		{r + "create_container_timeout", "9", func(c *Config) { c.Runtime.CreateContainerTimeout = 9 }},
		{a + "kernel_modules", "a x=1; b", func(c *Config) { c.Agent.KernelModules = []string{"a x=1", "b"} }},
		{"io.katacontainers.config_path", "/other", func(*Config) {}},
		{"io.kubernetes.cri.container-type", "sandbox", func(*Config) {}},
	} {
		base, want := permissive(), permissive()
		c.want(&want)
		got, err := base.WithAnnotations(map[string]string{c.name: c.value})
		if err != nil {
			t.Errorf("%s = %q: %v", c.name, c.value, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %q: got %+v, want %+v", c.name, c.value, got, want)
		}
		if !reflect.DeepEqual(base, permissive()) {
			t.Errorf("%s = %q changed the configuration that it was applied to", c.name, c.value)
		}
	}
}

func TestNoAnnotationTakesAZeroByte(t *testing.T) {
	for name := range annotationSetters() {
		if _, err := permissive().WithAnnotations(map[string]string{name: "\x00"}); !errdefs.IsInvalidArgument(err) && !errdefs.IsPermissionDenied(err) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestAnnotationsThatAreRefused(t *testing.T) {
	const h, r, a = annotationHypervisor, annotationRuntime, annotationAgent
	for _, c := range []struct {
		name, value string
		enable      []string
		is          func(error) bool
		says        string
	}{
		{h + "kernel", "/k", nil, errdefs.IsPermissionDenied, `add "kernel" to enable_annotations`},
		{h + "kernel", "/k", []string{"kernel_params", "kern"}, errdefs.IsPermissionDenied, "enable_annotations"},
		{h + "path", "/bin/sh", []string{"path"}, errdefs.IsPermissionDenied, "valid_hypervisor_paths"},
		{h + "path", "/opt/qemu/../../bin/sh", []string{"path"}, errdefs.IsPermissionDenied, "valid_hypervisor_paths"},
		{h + "virtio_fs_daemon", "/bin/sh", []string{".*"}, errdefs.IsPermissionDenied, "valid_virtio_fs_daemon_paths"},
		{h + "entropy_source", "/dev/mem", []string{".*"}, errdefs.IsPermissionDenied, "valid_entropy_sources"},
		{h + "default_memory", "1", []string{".*"}, errdefs.IsInvalidArgument, "at least 256"},
		{h + "default_memory", "much", []string{".*"}, errdefs.IsInvalidArgument, "no whole number"},
		{h + "virtio_fs_extra_args", "-x", []string{".*"}, errdefs.IsInvalidArgument, "JSON list"},
		{h + "kernel", "/k", []string{"["}, errdefs.IsInvalidArgument, "regular expression"},
		{h + "enable_virtio_mem", "true", []string{".*"}, errdefs.IsNotImplemented, "not support"},
		{h + "colour", "red", []string{".*"}, errdefs.IsInvalidArgument, "not known"},
		{h + "enable_annotations", "x", []string{".*"}, errdefs.IsInvalidArgument, "not known"},
		{r + "state_dir", "/tmp", nil, errdefs.IsInvalidArgument, "not known"},
		{r + "disable_new_netns", "true", nil, errdefs.IsInvalidArgument, "internetworking_model"},
		{r + "disable_guest_seccomp", "yes", nil, errdefs.IsInvalidArgument, "true or false"},
		{r + "create_container_timeout", "soon", nil, errdefs.IsInvalidArgument, "seconds"},
		{a + "enable_tracing", "true", nil, errdefs.IsNotImplemented, "not support"},
		{"io.katacontainers.config.hypervisor", "x", nil, errdefs.IsInvalidArgument, "not known"},
	} {
		base := permissive()
		base.Hypervisor.EnableAnnotations = c.enable
		got, err := base.WithAnnotations(map[string]string{c.name: c.value})
		if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s = %q: error %v, want one that says %q", c.name, c.value, err, c.says)
		}
		if !reflect.DeepEqual(got, Config{}) {
			t.Errorf("%s = %q: a configuration came with the error", c.name, c.value)
		}
	}
}

func TestSlicesAreNotShared(t *testing.T) {
	base := permissive()
	next, err := base.WithAnnotations(nil)
	if err != nil {
		t.Fatal(err)
	}
	next.Hypervisor.EnableAnnotations[0] = "changed"
	if base.Hypervisor.EnableAnnotations[0] != ".*" {
		t.Error("a copy shares its lists with the original")
	}
	v := reflect.ValueOf(base)
	for _, section := range []reflect.Value{v.FieldByName("Hypervisor"), v.FieldByName("Agent"), v.FieldByName("Runtime")} {
		for i := range section.NumField() {
			if f := section.Field(i); f.Kind() == reflect.Slice && f.Len() > 0 &&
				f.Pointer() == reflect.ValueOf(next).FieldByName(section.Type().Name()).Field(i).Pointer() {
				t.Errorf("clone shares %s.%s", section.Type().Name(), section.Type().Field(i).Name)
			}
		}
	}
}

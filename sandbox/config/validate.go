// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

const (
	// MinMemoryMiB is the least memory of a guest that upstream accepts.
	MinMemoryMiB = 256
	// maxRootPorts is upstream's bound of pcie_root_port.
	maxRootPorts = 16
	// maxSeconds is a day.
	maxSeconds = 24 * 60 * 60
)

// check is a rule about the value of one key.
type check struct {
	// key is dotted, value what it has, allowed a phrase after "allowed is".
	key     string
	value   any
	ok      bool
	allowed string
}

// problem is a value that is not allowed. It is errdefs.ErrInvalidArgument.
type problem struct {
	check
	// source says where the value comes from: a file or an annotation.
	source string
}

// Error names source, key, value and what is allowed.
func (p problem) Error() string {
	return fmt.Sprintf("%s: %s = %#v; allowed is %s", p.source, p.key, p.value, p.allowed)
}

// Unwrap makes errors.Is(err, errdefs.ErrInvalidArgument) true.
func (p problem) Unwrap() error { return errdefs.ErrInvalidArgument }

// validate checks the loaded values and adds warnings.
func (l *loader) validate() error {
	for _, c := range checks(l.config) {
		if !c.ok {
			return problem{check: c, source: l.source(c.key)}
		}
	}
	if !l.config.Runtime.StaticSandboxResourceMgmt {
		l.config.Warnings = append(l.config.Warnings, fmt.Sprintf("%s: runtime.static_sandbox_resource_mgmt = false has no effect: "+
			"this version sizes the VM when it starts, and adds memory later when containers need it", l.source("runtime.static_sandbox_resource_mgmt")))
	}
	return nil
}

// source names the file that set a key.
func (l *loader) source(key string) string {
	if file, ok := l.origin[key]; ok {
		return "configuration file " + file
	}
	return "configuration"
}

// checks lists the rules about c, those that concern one key before those that
// concern several.
func checks(c Config) []check {
	return slices.Concat(hypervisorChecks(c.Hypervisor), shareChecks(c.Hypervisor), agentChecks(c.Agent), runtimeChecks(c.Runtime), factoryChecks(c.Factory))
}

func hypervisorChecks(h Hypervisor) []check {
	const q = "hypervisor.qemu."
	return []check{
		path(q+"path", h.Path, true), path(q+"kernel", h.Kernel, true),
		userRange(q+"vmm_users", h.VMMUsers),
		path(q+"initrd", h.Initrd, false), path(q+"image", h.Image, false),
		{q + "image", h.Image, (h.Image == "") != (h.Initrd == ""), "exactly one of image and initrd"},
		oneOf(q+"rootfs_type", h.RootfsType, "erofs", "ext4", "xfs"),
		oneOf(q+"machine_type", h.MachineType, "", "q35"),
		oneOf(q+"accelerator", h.Accelerator, "", "kvm", "tcg"),
		oneLine(q+"cpu_features", h.CPUFeatures), oneLine(q+"kernel_params", h.KernelParams),
		{q + "default_vcpus", h.DefaultVCPUs, h.DefaultVCPUs <= 1024, "a number up to 1024; negative means as many as the host has"},
		between(q+"default_maxvcpus", h.DefaultMaxVCPUs, 0, 1024),
		{q + "default_memory", h.DefaultMemory, h.DefaultMemory >= MinMemoryMiB, fmt.Sprintf("at least %d (MiB)", MinMemoryMiB)},
		{q + "default_maxmemory", h.DefaultMaxMemory, h.DefaultMaxMemory == 0 || h.DefaultMaxMemory >= h.DefaultMemory, "0 (the host's) or at least default_memory"},
		between(q+"memory_slots", h.MemorySlots, 0, 255),
		between(q+"pcie_root_port", h.PCIeRootPorts, 0, maxRootPorts),
		oneOf(q+"entropy_source", h.EntropySource, "", "/dev/urandom", "/dev/random"),
		patterns(q+"enable_annotations", h.EnableAnnotations),
		globs(q+"valid_hypervisor_paths", h.ValidPaths),
	}
}

func shareChecks(h Hypervisor) []check {
	const q = "hypervisor.qemu."
	return []check{
		oneOf(q+"shared_fs", h.SharedFS, SharedFSVirtioFS, SharedFSNone),
		path(q+"virtio_fs_daemon", h.VirtioFSDaemon, false),
		globs(q+"valid_virtio_fs_daemon_paths", h.ValidVirtioFSDaemonPaths),
		oneOf(q+"virtio_fs_cache", h.VirtioFSCache, "auto", "always", "never", "none", "metadata"),
		{q + "virtio_fs_queue_size", h.VirtioFSQueueSize, h.VirtioFSQueueSize >= 16 && h.VirtioFSQueueSize <= 1024 && h.VirtioFSQueueSize&(h.VirtioFSQueueSize-1) == 0,
			"a power of two from 16 to 1024"},
	}
}

func agentChecks(a Agent) []check {
	return []check{
		between("agent.kata.dial_timeout", int(a.DialTimeout), 1, maxSeconds),
		oneLine("agent.kata.kernel_modules", strings.Join(a.KernelModules, ";")),
	}
}

func runtimeChecks(r Runtime) []check {
	return []check{
		oneOf("runtime.internetworking_model", r.InternetworkingModel, NetworkTCFilter, NetworkNone),
		{"runtime.disable_new_netns", r.DisableNewNetNS, !r.DisableNewNetNS || r.InternetworkingModel == NetworkNone,
			`true only with internetworking_model = "none"`},
		between("runtime.create_container_timeout", int(r.CreateContainerTimeout), 1, maxSeconds),
		oneOf("runtime.emptydir_mode", r.EmptyDirMode, EmptyDirSharedFS),
		bindMounts("runtime.sandbox_bind_mounts", r.SandboxBindMounts),
		// The VM's directory is <state_dir>/vm/<17 bytes>, at most 60 bytes.
		{"runtime.state_dir", r.StateDir, filepath.IsAbs(r.StateDir) && filepath.Clean(r.StateDir) == r.StateDir && r.StateDir != "/" && len(r.StateDir) <= 38,
			"a clean absolute path of at most 38 bytes, since unix sockets lie below it"},
	}
}

func path(key, value string, needed bool) check {
	if !needed && value == "" {
		return check{key: key, ok: true}
	}
	return check{key, value, filepath.IsAbs(value), "an absolute path"}
}

func oneOf(key, value string, values ...string) check {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	return check{key, value, slices.Contains(values, value), strings.Join(quoted, ", ")}
}

func between(key string, value, least, most int) check {
	return check{key, value, value >= least && value <= most, fmt.Sprintf("%d to %d", least, most)}
}

func oneLine(key, value string) check {
	return check{key, value, !strings.ContainsAny(value, "\n\r\x00"), "text on one line"}
}

func patterns(key string, values []string) check {
	for _, v := range values {
		if _, err := regexp.Compile(v); err != nil {
			return check{key, v, false, "regular expressions as Go's package regexp knows them"}
		}
	}
	return check{key: key, ok: true}
}

func globs(key string, values []string) check {
	for _, v := range values {
		if _, err := filepath.Match(v, ""); err != nil {
			return check{key, v, false, "patterns as Go's filepath.Match knows them"}
		}
	}
	return check{key: key, ok: true}
}

func bindMounts(key string, values []string) check {
	for _, v := range values {
		if !filepath.IsAbs(strings.TrimSuffix(strings.TrimSuffix(v, ":ro"), ":rw")) {
			return check{key, v, false, `absolute paths, each with ":ro" or ":rw" at the end or nothing`}
		}
	}
	return check{key: key, ok: true}
}

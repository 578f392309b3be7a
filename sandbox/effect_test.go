// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/config"
)

// effects give each key of the configuration another value than its default.
func effects() map[string]func(*config.Config) {
	type c = config.Config
	return map[string]func(*c){
		"path": func(c *c) { c.Hypervisor.Path = "/x" }, "kernel": func(c *c) { c.Hypervisor.Kernel = "/x" },
		"initrd": func(c *c) { c.Hypervisor.Initrd = "/x" }, "image": func(c *c) { c.Hypervisor.Image = "/x" },
		"rootfs_type":                func(c *c) { c.Hypervisor.RootfsType = "ext4" },
		"machine_type":               func(c *c) { c.Hypervisor.MachineType = "" },
		"accelerator":                func(c *c) { c.Hypervisor.Accelerator = "tcg" },
		"cpu_features":               func(c *c) { c.Hypervisor.CPUFeatures = "" },
		"vmm_users":                  func(c *c) { c.Hypervisor.VMMUsers = "1-2" },
		"kernel_params":              func(c *c) { c.Hypervisor.KernelParams = "a b=c" },
		"default_vcpus":              func(c *c) { c.Hypervisor.DefaultVCPUs = 2 },
		"default_maxvcpus":           func(c *c) { c.Hypervisor.DefaultVCPUs, c.Hypervisor.DefaultMaxVCPUs = 2, 1 },
		"default_memory":             func(c *c) { c.Hypervisor.DefaultMemory = 512 },
		"default_maxmemory":          func(c *c) { c.Hypervisor.DefaultMaxMemory = 1024 },
		"memory_slots":               func(c *c) { c.Hypervisor.MemorySlots = 3 },
		"reclaim_guest_freed_memory": func(c *c) { c.Hypervisor.ReclaimGuestFreedMemory = false },
		"shared_fs":                  func(c *c) { c.Hypervisor.SharedFS = config.SharedFSNone },
		"virtio_fs_daemon":           func(c *c) { c.Hypervisor.VirtioFSDaemon = "/x" },
		"virtio_fs_cache":            func(c *c) { c.Hypervisor.VirtioFSCache = "never" },
		"virtio_fs_extra_args":       func(c *c) { c.Hypervisor.VirtioFSExtraArgs = []string{"-x"} },
		"virtio_fs_queue_size":       func(c *c) { c.Hypervisor.VirtioFSQueueSize = 64 },
		"disable_block_device_use":   func(c *c) { c.Hypervisor.DisableBlockDeviceUse = true },
		"pcie_root_port":             func(c *c) { c.Hypervisor.PCIeRootPorts = 3 },
		"entropy_source":             func(c *c) { c.Hypervisor.EntropySource = "/dev/random" },
		"disable_vhost_net":          func(c *c) { c.Hypervisor.DisableVhostNet = true },
		"disable_guest_selinux":      func(c *c) { c.Hypervisor.DisableGuestSELinux = false },
		"hypervisor enable_debug":    func(c *c) { c.Hypervisor.Debug = true },
		"agent enable_debug":         func(c *c) { c.Agent.Debug = true },
		"debug_console_enabled":      func(c *c) { c.Agent.DebugConsole = true },
		"dial_timeout":               func(c *c) { c.Agent.DialTimeout = 7 },
		"kernel_modules":             func(c *c) { c.Agent.KernelModules = []string{"m a=1"} },
		"internetworking_model":      func(c *c) { c.Runtime.InternetworkingModel = config.NetworkNone },
		"disable_guest_seccomp":      func(c *c) { c.Runtime.DisableGuestSeccomp = true },
		"create_container_timeout":   func(c *c) { c.Runtime.CreateContainerTimeout = 7 },
		"sandbox_bind_mounts":        func(c *c) { c.Runtime.SandboxBindMounts = []string{"/tmp"} },
		"disable_new_netns": func(c *c) {
			c.Runtime.InternetworkingModel, c.Runtime.DisableNewNetNS = config.NetworkNone, true
		},
	}
}

// elsewhere are the keys that have their effect, or say that they have none, in
// another place than the pod's start.
func elsewhere() []string {
	return []string{
		"disable_image_nvdimm", "static_sandbox_resource_mgmt", "disable_guest_empty_dir", "emptydir_mode", // documented as without effect
		"enable_annotations", "valid_hypervisor_paths", "valid_virtio_fs_daemon_paths", "valid_entropy_sources", // gates of annotations
		"runtime enable_debug", "sandbox_cgroup_only", // the shim itself
		"state_dir", // every fixture has its own
	}
}

// TestEveryKeyHasAnEffect starts a pod over fakes for each key, and compares what
// the drivers and the guest were asked for with a pod of the default.
func TestEveryKeyHasAnEffect(t *testing.T) {
	base := asked(t, func(*config.Config) {})
	if again := asked(t, func(*config.Config) {}); again != base {
		t.Fatalf("two equal pods differ:\n%s\n%s", base, again)
	}
	for key, change := range effects() {
		t.Run(key, func(t *testing.T) {
			against := base
			// Two need another key, which has an effect of its own.
			if other, ok := map[string]string{"disable_new_netns": "internetworking_model", "default_maxvcpus": "default_vcpus"}[key]; ok {
				against = asked(t, effects()[other])
			}
			got := asked(t, change)
			if got == against {
				t.Errorf("the key changes nothing:\n%s", got)
			}
			if strings.HasPrefix(got, "refused") && key != "default_maxmemory" {
				t.Error(got)
			}
		})
	}
}

// TestEffectsAreComplete: a new key has to be in one of the two lists.
func TestEffectsAreComplete(t *testing.T) {
	for section, of := range map[string]any{"hypervisor": config.Hypervisor{}, "agent": config.Agent{}, "runtime": config.Runtime{}} {
		for f := range reflect.TypeOf(of).Fields() {
			key := f.Tag.Get("toml")
			if key == "enable_debug" {
				key = section + " " + key
			}
			_, listed := effects()[key]
			if key != "-" && listed == slices.Contains(elsewhere(), key) {
				t.Errorf("%s.%s is in neither list, or in both", section, key)
			}
		}
	}
}

// asked is what a pod with one container asks of its drivers and its guest.
func asked(t *testing.T, change func(*config.Config)) string {
	t.Helper()
	var text string
	t.Run("pod", func(t *testing.T) {
		f := newFixture(t, func(o *Options) { o.NetNS = ""; change(&o.Config) })
		if err := f.pod.Start(context.Background()); err != nil {
			text = "refused: " + err.Error()
			return
		}
		o := containerOptions("c1", "sleep")
		o.Spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
		o.Spec.Process.SelinuxLabel = "label"
		_, err := f.pod.CreateContainer(background, o)
		text = f.asks(err)
	})
	return text
}

func (f *fixture) asks(created error) string {
	vm, share := f.vm.Config(), f.host.served
	vm.Spawned, share.Spawned = nil, nil
	nics := ""
	for i := range vm.NICs {
		nics += fmt.Sprintf("%d queues, %d of vhost; ", len(vm.NICs[i].TapFDs), len(vm.NICs[i].VhostFDs))
	}
	vm.NICs = nil
	caps := f.pod.capabilities()
	text := fmt.Sprintf("%+v\n%s\n%+v\n%+v\n%+v\n%v\n%v\n%v %v\ncreate: %v\nhost: %q", vm, nics, f.vm.Shares(), share, caps,
		lastCall[*agentpb.CreateSandboxRequest](f.agent, "CreateSandbox").GetKernelModules(),
		lastCall[*agentpb.CreateContainerRequest](f.agent, "CreateContainer").GetOCI().GetLinux().GetSeccomp() != nil,
		f.pod.dialTimeout(), f.pod.createTimeout(), created, f.host.left())
	text = strings.ReplaceAll(text, f.pod.options.Config.Runtime.StateDir, "STATE")
	return strings.ReplaceAll(text, os.TempDir(), "TMP")
}

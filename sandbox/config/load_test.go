// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// write makes a configuration directory: "base.toml" is the file, all others are
// drop-ins.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "config.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, "config.d", name)
		if name == "base.toml" {
			path = filepath.Join(dir, name)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "base.toml")
}

func load(t *testing.T, files map[string]string) Config {
	t.Helper()
	c, err := Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fails checks the kind and parts of Load's error for one file.
func fails(t *testing.T, content string, is func(error) bool, parts ...string) {
	t.Helper()
	path := write(t, map[string]string{"base.toml": content})
	_, err := Load(path)
	if err == nil || !is(err) {
		t.Errorf("%s: error %v is missing or of another kind", content, err)
		return
	}
	for _, part := range append(parts, path) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q does not say %q", content, err, part)
		}
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	c := load(t, map[string]string{"base.toml": ""})
	want := Default()
	want.Path = c.Path
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	for _, check := range checks(Default()) {
		if !check.ok {
			t.Errorf("the default is not allowed: %v", problem{check: check, source: "default"})
		}
	}
}

func TestDefaultsThatDifferFromUpstream(t *testing.T) {
	c := Default()
	if c.Runtime.DisableGuestSeccomp || !c.Runtime.SandboxCgroupOnly || !c.Hypervisor.ReclaimGuestFreedMemory ||
		c.Hypervisor.DisableBlockDeviceUse || !c.Factory.EnableTemplate || c.TemplateDir() != "/run/vc/vm/template" || c.Hypervisor.RootfsType != "erofs" || c.Hypervisor.HotplugSlots() != 31 {
		t.Errorf("defaults are %+v", c)
	}
}

// upstream is a file as upstream's template for QEMU makes it, comments and all
// features off.
func TestFileOfUpstream(t *testing.T) {
	data, err := os.ReadFile("testdata/upstream-qemu.toml")
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, map[string]string{"base.toml": string(data)})
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "static_sandbox_resource_mgmt") {
		t.Errorf("warnings are %q", c.Warnings)
	}
	if c.Hypervisor.RootfsType != "ext4" || c.Hypervisor.VirtioFSExtraArgs[1] != "--announce-submounts" || c.Agent.DialTimeout.Duration().Seconds() != 45 {
		t.Errorf("got %+v", c)
	}
}

func TestDropInsOverlayByKeyInAlphabeticalOrder(t *testing.T) {
	c := load(t, map[string]string{
		"base.toml":   "[hypervisor.qemu]\ndefault_vcpus = 2\ndefault_memory = 512\nvirtio_fs_extra_args = ['-a', '-b', '-c']\n",
		"20-b.toml":   "[hypervisor.qemu]\ndefault_memory = 1024\n",
		"10-a.toml":   "[hypervisor.qemu]\ndefault_memory = 768\nvirtio_fs_extra_args = ['-d']\n[runtime]\nenable_debug = true\n",
		"30-c.toml.x": "this is no TOML",
	})
	h := c.Hypervisor
	if h.DefaultVCPUs != 2 || h.DefaultMemory != 1024 || !slices.Equal(h.VirtioFSExtraArgs, []string{"-d"}) || !c.Runtime.Debug {
		t.Errorf("got %+v", c)
	}
}

func TestImageAndInitrdReplaceEachOther(t *testing.T) {
	c := load(t, map[string]string{"base.toml": "[hypervisor.qemu]\ninitrd = '/i'\n"})
	if c.Hypervisor.Initrd != "/i" || c.Hypervisor.Image != "" {
		t.Errorf("got %+v", c.Hypervisor)
	}
	c = load(t, map[string]string{"base.toml": "[hypervisor.qemu]\ninitrd = '/i'\n", "1.toml": "[hypervisor.qemu]\nimage = '/g'\n"})
	if c.Hypervisor.Image != "/g" || c.Hypervisor.Initrd != "" {
		t.Errorf("got %+v", c.Hypervisor)
	}
	fails(t, "[hypervisor.qemu]\ninitrd = '/i'\nimage = '/g'\n", errdefs.IsInvalidArgument, "exactly one of image and initrd")
}

func TestUnknownKeysAreWarnings(t *testing.T) {
	c := load(t, map[string]string{
		"base.toml": "colour = 1\n[hypervisor.qemu]\nkernal = '/k'\n[shed]\ntools = 2\n",
		"1.toml":    "[agent.kata]\nspeed = 'fast'\n[agent.other]\nx = 1\n[factory]\nenable_template = false\nodd = 1\n",
	})
	var named []string
	for _, key := range []string{" colour ", "hypervisor.qemu.kernal", "shed.tools", "agent.kata.speed", "agent.other.x", "factory.odd"} {
		if slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, key) && strings.Contains(w, ".toml") }) {
			named = append(named, key)
		}
	}
	if len(named) != 6 || len(c.Warnings) != 6 {
		t.Errorf("warnings are %q, they name %q", c.Warnings, named)
	}
}

func TestFeaturesThatAreNotBuilt(t *testing.T) {
	for content, key := range map[string]string{
		"[hypervisor.qemu]\nenable_virtio_mem = true\n":                         "hypervisor.qemu.enable_virtio_mem = true",
		"[hypervisor.qemu]\nhot_plug_vfio = 'root-port'\n":                      `hypervisor.qemu.hot_plug_vfio = "root-port"`,
		"[hypervisor.qemu]\nrx_rate_limiter_max_rate = 5\n":                     "rx_rate_limiter_max_rate",
		"[hypervisor.qemu]\npflashes = ['/p']\n":                                "pflashes",
		"[factory]\nvm_cache_number = 3\n":                                      "factory.vm_cache_number",
		"[agent.kata]\nenable_tracing = true\n":                                 "agent.kata.enable_tracing",
		"[runtime]\nexperimental = ['x']\n":                                     "runtime.experimental",
		"[hypervisor.clh]\npath = '/usr/bin/cloud-hypervisor'\n":                "[hypervisor.clh]",
		"[hypervisor.qemu]\ndefault_vcpus=1\n[hypervisor.firecracker]\nx = 1\n": "[hypervisor.firecracker]",
	} {
		fails(t, content, errdefs.IsNotImplemented, key, "not support")
	}
}

func TestWrongValues(t *testing.T) {
	const h, a, r = "[hypervisor.qemu]\n", "[agent.kata]\n", "[runtime]\n"
	for _, c := range []struct{ content, value, allowed string }{
		{h + "default_memory = 255", "default_memory = 255", "at least 256"},
		{h + "default_memory = 'much'", `default_memory = "much"`, "a whole number"},
		{h + "default_vcpus = 1.5", "default_vcpus = 1.5", "a whole number"},
		{h + "default_vcpus = 5000", "default_vcpus = 5000", "up to 1024"},
		{h + "default_maxvcpus = -1", "default_maxvcpus = -1", "0 to 1024"},
		{h + "default_maxmemory = 300", "default_maxmemory = 300", "at least default_memory"},
		{h + "path = 'qemu'", `path = "qemu"`, "an absolute path"},
		{h + "kernel = ''", `kernel = ""`, "an absolute path"},
		{h + "kernel = 7", "kernel = 7", "text in quotes"},
		{h + "rootfs_type = 'zfs'", `rootfs_type = "zfs"`, `"erofs", "ext4", "xfs"`},
		{h + "machine_type = 'pc'", `machine_type = "pc"`, `"q35"`},
		{h + "accelerator = 'hvf'", `accelerator = "hvf"`, `"kvm", "tcg"`},
		{h + "shared_fs = 'virtio-9p'", `shared_fs = "virtio-9p"`, `"virtio-fs", "none"`},
		{h + "virtio_fs_cache = 'maybe'", `virtio_fs_cache = "maybe"`, `"auto"`},
		{h + "virtio_fs_queue_size = 1000", "virtio_fs_queue_size = 1000", "a power of two"},
		{h + "virtio_fs_extra_args = '-x'", `virtio_fs_extra_args = "-x"`, "a list of texts"},
		{h + "virtio_fs_daemon = 'virtiofsd'", `virtio_fs_daemon = "virtiofsd"`, "an absolute path"},
		{h + "pcie_root_port = 17", "pcie_root_port = 17", "0 to 16"},
		{h + "entropy_source = '/dev/sda'", "entropy_source", "/dev/urandom"},
		{h + "enable_annotations = ['[']", `enable_annotations = "["`, "regular expressions"},
		{h + "valid_hypervisor_paths = ['[']", "valid_hypervisor_paths", "patterns"},
		{h + `kernel_params = "a\nb"`, "kernel_params", "one line"},
		{h + "enable_debug = 'yes'", `enable_debug = "yes"`, "true or false"},
		{a + "dial_timeout = 0", "agent.kata.dial_timeout = 0", "1 to 86400"},
		{r + "create_container_timeout = -1", "create_container_timeout = -1", "1 to"},
		{r + "internetworking_model = 'macvtap'", `internetworking_model = "macvtap"`, `"tcfilter", "none"`},
		{r + "disable_new_netns = true", "disable_new_netns = true", `internetworking_model = "none"`},
		{r + "emptydir_mode = 'block-plain'", "emptydir_mode", "shared-fs"},
		{r + "sandbox_bind_mounts = ['data']", `sandbox_bind_mounts = "data"`, "absolute paths"},
		{r + "state_dir = 'run'", `state_dir = "run"`, "absolute path"},
		{r + "state_dir = '/" + strings.Repeat("a", 38) + "'", "state_dir", "38 bytes"},
	} {
		fails(t, c.content, errdefs.IsInvalidArgument, c.value, c.allowed)
	}
}

func TestErrorNamesTheDropIn(t *testing.T) {
	path := write(t, map[string]string{"base.toml": "", "7.toml": "[hypervisor.qemu]\ndefault_memory = 1\n"})
	_, err := Load(path)
	if err == nil || !strings.Contains(err.Error(), "config.d/7.toml") {
		t.Errorf("error %v does not name the drop-in", err)
	}
}

func TestBadFiles(t *testing.T) {
	fails(t, "[hypervisor.qemu\n", errdefs.IsInvalidArgument, "line 1", "not valid TOML")
	fails(t, strings.Repeat("#\n", maxFile), errdefs.IsInvalidArgument, "more than")
	if _, err := Load(filepath.Join(t.TempDir(), "absent.toml")); err == nil || !strings.Contains(err.Error(), "absent.toml") {
		t.Errorf("error %v", err)
	}
}

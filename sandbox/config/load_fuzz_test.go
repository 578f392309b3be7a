// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
)

// FuzzLoad reads any file and any drop-in. What is taken has passed every check, and
// reads the same again; the rest is refused by a named error.
func FuzzLoad(f *testing.F) {
	shipped, err := os.ReadFile("configuration.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped, []byte(""))
	f.Add([]byte("[hypervisor.qemu]\ndefault_vcpus = -1\ndefault_memory = 99999999999\n"), []byte("[agent.kata]\ndial_timeout = 1e9"))
	f.Add([]byte("[runtime]\nstate_dir = \"../..\"\n[factory]\nenable_template = true"), []byte("hypervisor = 1"))
	f.Add([]byte("a.b.c = [[[{}]]]\n[hypervisor]\nqemu = []"), []byte("[hypervisor.firecracker]\n"))
	dir := f.TempDir()
	path, drop := filepath.Join(dir, "c.toml"), filepath.Join(dir, "config.d", "10.toml")
	if err := os.Mkdir(filepath.Dir(drop), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, main, more []byte) {
		if err := errors.Join(os.WriteFile(path, main, 0o600), os.WriteFile(drop, more, 0o600)); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path)
		if err != nil {
			if !errdefs.IsInvalidArgument(err) && !errdefs.IsNotImplemented(err) {
				t.Fatalf("the error has no sentinel: %v", err)
			}
			return
		}
		for _, check := range checks(c) {
			if !check.ok {
				t.Fatalf("taken was %+v", check)
			}
		}
		if _, err := c.WithAnnotations(nil); err != nil {
			t.Fatalf("no annotation is wrong: %v", err)
		}
	})
}

// FuzzAnnotations changes a configuration that allows everything by any two
// annotations: the one they are made for is never changed, and what they make of it
// has passed every check.
func FuzzAnnotations(f *testing.F) {
	for _, s := range [][2]string{
		{"hypervisor.default_vcpus", "4"}, {"hypervisor.default_vcpus", "-9223372036854775808"}, {"hypervisor.path", "/usr/bin/../../bin/sh"},
		{"hypervisor.virtio_fs_extra_args", "[\"--x\"]"}, {"runtime.sandbox_cgroup_only", "maybe"}, {"agent.kernel_modules", "a b=c;;d"},
		{"hypervisor.kernel_params", "init=/bin/sh \x00"}, {"hypervisor.default_memory", "1e3"}, {"unknown.thing", "off"},
	} {
		f.Add(s[0], s[1], "hypervisor.enable_iommu", "false")
	}
	f.Fuzz(func(t *testing.T, name, value, name2, value2 string) {
		c := Default()
		c.Hypervisor.EnableAnnotations = []string{".*"}
		c.Hypervisor.ValidPaths = []string{"/usr/bin/*"}
		before := c.clone()
		next, err := c.WithAnnotations(map[string]string{annotationConfig + name: value, annotationConfig + name2: value2})
		if c.Hypervisor.Path != before.Hypervisor.Path || c.Hypervisor.KernelParams != before.Hypervisor.KernelParams || c.Runtime.StateDir != before.Runtime.StateDir {
			t.Fatal("the configuration itself was changed")
		}
		if err != nil {
			return
		}
		for _, check := range checks(next) {
			if !check.ok {
				t.Fatalf("taken was %+v", check)
			}
		}
		if p := next.Hypervisor.Path; p != before.Hypervisor.Path && filepath.Dir(p) != "/usr/bin" {
			t.Fatalf("the hypervisor became %q", p)
		}
	})
}

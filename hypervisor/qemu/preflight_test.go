// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// file writes content and returns its path.
func file(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// imageWith has magic at an offset, as file systems do.
func imageWith(offset int, magic ...byte) []byte {
	return append(make([]byte, offset), append(magic, make([]byte, 64)...)...)
}

func acceptable(t *testing.T) hypervisor.Config {
	t.Helper()
	dir := tempDir(t)
	return hypervisor.Config{
		ID: "pod", Dir: dir, VCPUs: 1, MemoryMiB: 128, HotplugSlots: 2,
		Binary: file(t, dir, "qemu", []byte("#!/bin/sh\n")),
		Kernel: file(t, dir, "vmlinux", []byte("\x7fELF\x02\x01\x01")),
		Image:  file(t, dir, "image", imageWith(1024, 0xe2, 0xe1, 0xf5, 0xe0)), ImageType: "erofs",
	}
}

func TestPreflightAccepts(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *hypervisor.Config){
		"erofs image": func(*testing.T, *hypervisor.Config) {},
		"ext4 image": func(t *testing.T, c *hypervisor.Config) {
			c.Image, c.ImageType = file(t, c.Dir, "ext4", imageWith(1080, 0x53, 0xef)), "ext4"
		},
		"xfs image": func(t *testing.T, c *hypervisor.Config) {
			c.Image, c.ImageType = file(t, c.Dir, "xfs", imageWith(0, []byte("XFSB")...)), "xfs"
		},
		"source of entropy": func(_ *testing.T, c *hypervisor.Config) { c.EntropySource = "/dev/random" },
		"bzImage": func(t *testing.T, c *hypervisor.Config) {
			c.Kernel = file(t, c.Dir, "bzImage", imageWith(0x202, []byte("HdrS")...))
		},
		"gzip initrd": func(t *testing.T, c *hypervisor.Config) {
			c.Image, c.Initrd = "", file(t, c.Dir, "initrd", []byte{0x1f, 0x8b, 8})
		},
		"machine version": func(_ *testing.T, c *hypervisor.Config) { c.Machine = "pc-q35-8.2" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := acceptable(t)
			change(t, &cfg)
			if err := preflight(cfg); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPreflightRefuses(t *testing.T) {
	type change func(*testing.T, *hypervisor.Config)
	set := func(f func(*hypervisor.Config)) change { return func(_ *testing.T, c *hypervisor.Config) { f(c) } }
	invalidArgument := errdefs.ErrInvalidArgument
	for _, tc := range []struct {
		name   string
		change change
		err    error
		says   string
	}{
		{"no QEMU", set(func(c *hypervisor.Config) { c.Binary = "/nonexistent/qemu" }), errdefs.ErrNotFound, "install qemu-system-x86"},
		{"QEMU is a directory", set(func(c *hypervisor.Config) { c.Binary = c.Dir }), invalidArgument, "not an executable"},
		{"no kernel", set(func(c *hypervisor.Config) { c.Kernel = "/nonexistent/k" }), errdefs.ErrNotFound, "make guest-image"},
		{"corrupt kernel", func(t *testing.T, c *hypervisor.Config) {
			c.Kernel = file(t, c.Dir, "k", bytes.Repeat([]byte("x"), 4096))
		}, invalidArgument, "corrupt"},
		{"empty kernel", func(t *testing.T, c *hypervisor.Config) { c.Kernel = file(t, c.Dir, "k", nil) }, invalidArgument, "corrupt"},
		{"no image", set(func(c *hypervisor.Config) { c.Image = "/nonexistent/i" }), errdefs.ErrNotFound, "make guest-image"},
		{"corrupt image", func(t *testing.T, c *hypervisor.Config) { c.Image = file(t, c.Dir, "i", make([]byte, 8192)) }, invalidArgument, "no erofs"},
		{"image of another type", set(func(c *hypervisor.Config) { c.ImageType = "ext4" }), invalidArgument, "no ext4"},
		{"unknown image type", set(func(c *hypervisor.Config) { c.ImageType = "btrfs" }), invalidArgument, "allowed are"},
		{"image and initrd", set(func(c *hypervisor.Config) { c.Initrd = c.Kernel }), invalidArgument, "exactly one"},
		{"neither image nor initrd", set(func(c *hypervisor.Config) { c.Image = "" }), invalidArgument, "exactly one"},
		{"corrupt initrd", func(t *testing.T, c *hypervisor.Config) {
			c.Image, c.Initrd = "", file(t, c.Dir, "r", []byte("xxxxxxxx"))
		}, invalidArgument, "cpio"},
		{"no source of entropy", set(func(c *hypervisor.Config) { c.EntropySource = "/nonexistent/random" }), errdefs.ErrNotFound, "entropy_source"},
		{"no vCPU", set(func(c *hypervisor.Config) { c.VCPUs = 0 }), invalidArgument, "at least 1"},
		{"little memory", set(func(c *hypervisor.Config) { c.MemoryMiB = 8 }), invalidArgument, "at least 64"},
		{"long directory", set(func(c *hypervisor.Config) { c.Dir = "/" + strings.Repeat("d", maxDir) }), invalidArgument, "shorter"},
		{"no directory", set(func(c *hypervisor.Config) { c.Dir = "/nonexistent" }), invalidArgument, "not a directory"},
		{"other machine", set(func(c *hypervisor.Config) { c.Machine = "microvm" }), invalidArgument, "microvm"},
		{"injected machine option", set(func(c *hypervisor.Config) { c.Machine = "q35,accel=kvm" }), invalidArgument, "machine type"},
		{"CPU features", set(func(c *hypervisor.Config) { c.CPUFeatures = "a b" }), invalidArgument, "CPU features"},
		{"kernel parameter", set(func(c *hypervisor.Config) { c.KernelParams = []string{"a\nb"} }), invalidArgument, "control characters"},
		{"too many slots", set(func(c *hypervisor.Config) { c.HotplugSlots = 32 }), invalidArgument, "slots"},
		{"disk id", set(func(c *hypervisor.Config) { c.Disks = []hypervisor.Disk{{ID: "a,b", Path: c.Kernel}} }), invalidArgument, "letters"},
		{"long disk id", set(func(c *hypervisor.Config) { c.Disks = []hypervisor.Disk{{ID: strings.Repeat("a", 21), Path: c.Kernel}} }), invalidArgument, "20"},
		{"disk id twice", set(func(c *hypervisor.Config) {
			c.Disks = []hypervisor.Disk{{ID: "a", Path: c.Kernel}, {ID: "a", Path: c.Kernel}}
		}), errdefs.ErrAlreadyExists, "twice"},
		{"disk is gone", set(func(c *hypervisor.Config) { c.Disks = []hypervisor.Disk{{ID: "a", Path: "/nonexistent/d"}} }), errdefs.ErrNotFound, "disk a"},
		{"disk is a directory", set(func(c *hypervisor.Config) { c.Disks = []hypervisor.Disk{{ID: "a", Path: c.Dir}} }), invalidArgument, "block device"},
		{"NIC without TUN", set(func(c *hypervisor.Config) { c.NICs = []hypervisor.NIC{{ID: "n", MAC: "02:00:00:00:00:01"}} }), invalidArgument, "/dev/net/tun"},
		{"bad MAC", set(func(c *hypervisor.Config) { c.NICs = []hypervisor.NIC{{ID: "n", MAC: "x", TapFDs: []int{0}}} }), invalidArgument, "MAC"},
		{"unequal vhost", set(func(c *hypervisor.Config) {
			c.NICs = []hypervisor.NIC{{ID: "n", MAC: "02:00:00:00:00:01", TapFDs: []int{0, 1}, VhostFDs: []int{2}}}
		}), invalidArgument, "vhost"},
		{"no daemon", set(func(c *hypervisor.Config) { c.Shares = []hypervisor.Share{{Tag: "t", Socket: "/nonexistent/s"}} }), errdefs.ErrNotFound, "daemon"},
		{"share of a file", set(func(c *hypervisor.Config) { c.Shares = []hypervisor.Share{{Tag: "t", Socket: c.Kernel}} }), invalidArgument, "not a socket"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := acceptable(t)
			tc.change(t, &cfg)
			err := New(cfg).Start(t.Context())
			if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want %v and %q in it", err, tc.err, tc.says)
			}
		})
	}
}

// TestPreflightBlames: an error says by a sentinel which file it is about.
func TestPreflightBlames(t *testing.T) {
	causes := []error{hypervisor.ErrBinary, hypervisor.ErrKernel, hypervisor.ErrImage}
	for name, tc := range map[string]struct {
		change func(*hypervisor.Config)
		cause  error
	}{
		"binary":     {func(c *hypervisor.Config) { c.Binary = "/nonexistent" }, hypervisor.ErrBinary},
		"kernel":     {func(c *hypervisor.Config) { c.Kernel = c.Binary }, hypervisor.ErrKernel},
		"image":      {func(c *hypervisor.Config) { c.Image = c.Kernel }, hypervisor.ErrImage},
		"initrd":     {func(c *hypervisor.Config) { c.Image, c.Initrd = "", c.Kernel }, hypervisor.ErrImage},
		"image type": {func(c *hypervisor.Config) { c.ImageType = "btrfs" }, nil},
	} {
		cfg := acceptable(t)
		tc.change(&cfg)
		err := preflight(cfg)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		for _, cause := range causes {
			if errors.Is(err, cause) != (cause == tc.cause) {
				t.Errorf("%s: %v is %v: %v", name, err, cause, errors.Is(err, cause))
			}
		}
	}
}

func TestPreflightAcceptsASocket(t *testing.T) {
	cfg := acceptable(t)
	l, err := net.Listen("unix", filepath.Join(cfg.Dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg.Shares = []hypervisor.Share{{Tag: "t", Socket: l.Addr().String()}}
	if err := preflight(cfg); err != nil {
		t.Error(err)
	}
}

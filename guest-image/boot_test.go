// SPDX-License-Identifier: Apache-2.0

package guestimage

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// cpuModel is the one that the QEMU driver emulates, without the
	// instruction that QEMU 7.2 emulates wrongly.
	cpuModel    = "max,-cx16"
	bootTimeout = 5 * time.Minute
	upLine      = "katapod-init: up"
	endLine     = "katapod-init: end"
)

// console is what a guest said, and when it first ran a program of ours.
type console struct {
	lines []string
	up    time.Duration
	ended bool
}

// value is the rest of the first line that begins with key and a colon.
func (c console) value(key string) string {
	for _, line := range c.lines {
		if rest, ok := strings.CutPrefix(line, key+": "); ok {
			return rest
		}
	}
	return ""
}

// boot runs QEMU without hardware virtualization until the guest ends.
func boot(t *testing.T, cmdline string, devices ...string) console {
	t.Helper()
	needTool(t, "qemu-system-x86_64")
	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35", "-accel", "tcg,thread=multi",
		"-cpu", cpuModel, "-m", "256,slots=2,maxmem=2G", "-serial", "stdio", "-device", "pvpanic-pci", "-device", "vmgenid",
		"-kernel", artefact(t, "vmlinux"), "-append", "console=ttyS0 quiet cgroup_no_v1=all " + cmdline,
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append(args, devices...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen console
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		seen.lines = append(seen.lines, line)
		switch {
		case line == upLine:
			seen.up = time.Since(started)
		case line == endLine:
			seen.ended = true
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("QEMU: %v", err)
	}
	return seen
}

func requireEnd(t *testing.T, seen console) {
	t.Helper()
	if !seen.ended {
		t.Fatalf("the guest did not get through its first program; console:\n%s", strings.Join(seen.lines, "\n"))
	}
	t.Logf("VMM start to first program: %d ms", seen.up.Milliseconds())
}

func rootDisk(image string) []string {
	return []string{"-drive", "if=none,id=root,format=raw,readonly=on,file=" + image, "-device", "virtio-blk-pci,drive=root"}
}

func TestGuestBootsFromTheImage(t *testing.T) {
	image := filepath.Join(buildImage(t, "./build-image", nil, buildTestInit(t)), "katapod.img")
	seen := boot(t, "root=/dev/vda rootfstype=erofs ro init=/sbin/init", rootDisk(image)...)
	requireEnd(t, seen)
	for name := range strings.FieldsSeq("erofs ext4 xfs overlay virtiofs fuse cgroup2 tmpfs devtmpfs mqueue hugetlbfs binfmt_misc") {
		if !strings.Contains(" "+seen.value("filesystems")+" ", " "+name+" ") {
			t.Errorf("the kernel has no file system %s: %s", name, seen.value("filesystems"))
		}
	}
	for name := range strings.FieldsSeq("cpuset cpu io memory hugetlb pids rdma misc") {
		if !strings.Contains(" "+seen.value("controllers")+" ", " "+name+" ") {
			t.Errorf("cgroup v2 has no controller %s: %s", name, seen.value("controllers"))
		}
	}
	requireTools(t, seen)
}

// requireTools looks for programs of the image that did not do what they are
// there for.
func requireTools(t *testing.T, seen console) {
	t.Helper()
	for tool, want := range map[string]string{
		"/usr/bin/crun":               "crun version",
		"/usr/sbin/iptables-restore":  "<nil>",
		"/usr/sbin/ip6tables-restore": "<nil>",
		"/usr/sbin/iptables-save":     "--to-ports 8080",
		"/usr/sbin/ip6tables-save":    "<nil>",
		"/usr/sbin/mkfs.ext4":         "mke2fs 1.",
		"/usr/sbin/resize2fs":         "Usage:",
		"/bin/sh":                     "from the shell /etc/os-release",
	} {
		if got := seen.value("run " + tool); !strings.Contains(got, want) {
			t.Errorf("%s in the guest: %q, want %q in it", tool, got, want)
		}
	}
}

func TestGuestMapsTheImageDirectly(t *testing.T) {
	image := filepath.Join(buildImage(t, "./build-image", nil, buildTestInit(t)), "katapod.img")
	size := len(readFile(t, image))
	seen := boot(t, "root=/dev/pmem0 rootfstype=erofs rootflags=dax=always ro init=/sbin/init",
		"-object", "memory-backend-file,id=root,share=on,readonly=on,mem-path="+image+",size="+strconv.Itoa(size),
		"-device", "virtio-pmem-pci,memdev=root")
	requireEnd(t, seen)
	if mounts := seen.value("root"); !strings.Contains(mounts, "/ erofs ro") || !strings.Contains(mounts, "dax=always") {
		t.Errorf("the root is not mapped with DAX: %s", mounts)
	}
}

func TestGuestBootsFromTheInitrd(t *testing.T) {
	initrd := filepath.Join(buildImage(t, "./build-image", nil, "--initrd", buildTestInit(t)), "katapod-initrd.cpio.zst")
	seen := boot(t, "", "-initrd", initrd)
	requireEnd(t, seen)
	requireTools(t, seen)
}

// SPDX-License-Identifier: Apache-2.0

package security

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The guest's root image is one file for all pods. What all the tests do in guests leaves its bytes as they are; that
// the guest's root cannot write to the disk itself is tested with the driver (TestVMCannotWriteToItsImage).
func TestRootImageStaysAsItIs(t *testing.T) {
	ctx := begin(t)
	image := filepath.Join(shared.Out, "guest/katapod.img")
	before := digest(t, image)
	got := shared.a.sh(ctx, t, `set -- $(cat /sys/class/block/vda/dev | tr : ' '); mknod /dev/shm/vda b $1 $2
cat /sys/class/block/vda/ro; dd if=/dev/zero of=/dev/shm/vda bs=4096 count=16 conv=fsync && echo WRITTEN; rm -f /dev/shm/vda`)
	if !strings.HasPrefix(got, "1\n") || strings.Contains(got, "WRITTEN") {
		t.Errorf("writing to the root disk of the guest: %s", got)
	}
	if digest(t, image) != before {
		t.Error("the root image was changed")
	}
}

func digest(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	return string(sum.Sum(nil))
}

// Nothing that a container sees of its guest names a path of the host, however privileged it is.
func TestGuestKnowsNoHostPath(t *testing.T) {
	ctx := begin(t)
	for _, p := range []*pod{shared.a, shared.b} {
		seen := p.sh(ctx, t, `cat /proc/self/mountinfo /proc/mounts /proc/cmdline /proc/self/cgroup /proc/1/cmdline /proc/1/environ /proc/swaps
cat /sys/class/block/*/serial /sys/class/virtio-ports/*/name /sys/class/dmi/id/* 2>/dev/null
env; dmesg; cat /etc/hosts /etc/hostname; find /run /dev /sys/fs /proc/1 -maxdepth 3 2>/dev/null`)
		for _, path := range []string{shared.Root, shared.Out, shared.StateDir(), p.outside, "/var/lib/containerd", "/run/containerd", "/usr/bin/qemu", "virtiofsd"} {
			if at := strings.Index(seen, path); at >= 0 {
				t.Errorf("the guest of %s knows %s: %q", p.spec.Name, path, seen[max(0, at-100):min(len(seen), at+200)])
			}
		}
		if !strings.Contains(seen, "init=/sbin/init") || !strings.Contains(seen, "kataShared") {
			t.Errorf("the guest of %s shows too little for this test: %.300q", p.spec.Name, seen)
		}
	}
}

// Privileged is privileged in the guest: its devices are the guest's, and none is the host's.
func TestPrivilegedInTheGuest(t *testing.T) {
	ctx := begin(t)
	got := shared.a.sh(ctx, t, `grep CapEff /proc/self/status; mkdir -p /tmp/m && mount -t tmpfs x /tmp/m && echo mounted && umount /tmp/m
ls /sys/class/block; cat /sys/class/block/vda/serial; echo; cat /proc/sys/kernel/random/boot_id; uname -r; ls /sys/class/net`)
	for _, want := range []string{"mounted", "vda", "image", "eth0"} {
		if !strings.Contains(got, want) {
			t.Errorf("a privileged container says %q, without %q", got, want)
		}
	}
	// As many as this machine has itself: CRI gives a container no others.
	if caps := field(t, os.Getpid(), "CapEff"); !strings.Contains(got, caps) {
		t.Errorf("a privileged container says %q, without the capabilities %s", got, caps)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, strings.TrimSpace(string(boot))) {
		t.Error("a privileged container sees the host's kernel")
	}
	// As many disks as the VM was given: the image, and the layers of none.
	for line := range strings.Lines(got) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, "sd") || strings.HasPrefix(name, "nvme") || name == "vdb" {
			t.Errorf("a privileged container has the disk %s", name)
		}
	}
}

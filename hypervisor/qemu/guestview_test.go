// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/hypervisor/virtiofsd"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/transport"
)

const patience = 3 * time.Minute

// ask sends the test guest a command and returns its answer.
func ask(t *testing.T, vm *VM, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := vm.Dialer().Dial(ctx, transport.PortConsole)
	if err != nil {
		t.Fatalf("dial the guest for %q: %v; console: %s", command, err, console(vm))
	}
	defer c.Close()
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("answer to %q: %v", command, err)
	}
	return string(answer)
}

func console(vm *VM) string {
	if inst := vm.instance(); inst != nil {
		return inst.console.String()
	}
	return vm.Exit().Console
}

// eventually asks the guest until its answer has a text.
func eventually(t *testing.T, vm *VM, command, text string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		answer := ask(t, vm, command)
		if strings.Contains(answer, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never says %q, but %q", command, text, answer)
		}
	}
}

// erofsImage is a root image with the test guest as its init.
func erofsImage(t *testing.T) string {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs.erofs")
	if err != nil {
		t.Skip("mkfs.erofs is not installed: apt-get install erofs-utils")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for _, d := range []string{"sbin", "proc", "sys", "dev", "mnt", "later"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(hypervisortest.GuestBinary(t, dir), filepath.Join(root, "sbin", "init")); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	if out, err := exec.Command(mkfs, image, root).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v\n%s", err, out)
	}
	return image
}

// share is a virtiofsd over a directory with one file.
func share(t testing.TB, dir string) hypervisor.Share {
	t.Helper()
	binary := hypervisortest.Virtiofsd(t)
	shared := filepath.Join(t.TempDir(), "shared")
	if err := os.Mkdir(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shared, "hello"), []byte("from the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "fs.sock")
	d, err := virtiofsd.Start(context.Background(), virtiofsd.Config{Binary: binary, Socket: socket, SharedDir: shared})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return hypervisor.Share{Tag: "kataShared", Socket: socket}
}

// netns makes a network namespace that a file stands for until the test ends.
func netns(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	path := file(t, t.TempDir(), "netns", nil)
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Never unlocked: the thread ends with the goroutine.
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- err
			return
		}
		made <- unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	}()
	if err := leaktest.Receive(t, made); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

// TestVMGuestView boots from an image with a disk, a network device and a
// share, plugs another of each, and looks at all of it from inside.
func TestVMGuestView(t *testing.T) {
	dir := tempDir(t)
	cfg := hypervisor.Config{
		ID: "view", Dir: dir, Binary: hypervisortest.QEMU(t), Kernel: hypervisortest.Kernel(t), NetNS: netns(t),
		Image: erofsImage(t), ImageType: "erofs", VCPUs: 2, MemoryMiB: 256, HotplugSlots: 2, LaterShares: true,
		Disks:  []hypervisor.Disk{{ID: "first", Path: file(t, dir, "first", make([]byte, 1<<20)), ReadOnly: true}},
		NICs:   []hypervisor.NIC{{ID: "eth0", MAC: "02:00:00:00:00:01", MTU: 1400, TapFDs: []int{hypervisortest.TAP(t)}}},
		Shares: []hypervisor.Share{share(t, dir)},
	}
	vm := New(cfg)
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := vm.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if !sameFile(t, cfg.NetNS, fmt.Sprintf("/proc/%d/ns/net", vm.Describe().PID)) {
		t.Error("QEMU is not in its network namespace")
	}
	disks := ask(t, vm, "disks")
	if !strings.Contains(disks, "image ") || !strings.Contains(disks, "first ") || !strings.HasPrefix(disks, "image") {
		t.Errorf("disks at boot: %q, want the image as vda, then first", disks)
	}
	if got := ask(t, vm, "cat /sys/class/net/eth0/mtu"); got != "1400\n" {
		t.Errorf("MTU %q", got)
	}
	if got := ask(t, vm, "mount kataShared virtiofs /mnt") + ask(t, vm, "cat /mnt/hello"); got != "from the host" {
		t.Errorf("the share: %q", got)
	}
	plugAndLook(t, vm, dir)
}

func plugAndLook(t *testing.T, vm *VM, dir string) {
	t.Helper()
	path, err := vm.PlugDisk(t.Context(), hypervisor.Disk{ID: "second", Path: file(t, dir, "second", make([]byte, 1<<20))})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, vm, "disks", "second "+sysfsOf(path))
	path, err = vm.PlugNIC(t.Context(), hypervisor.NIC{ID: "eth1", MAC: "02:00:00:00:00:02", TapFDs: []int{hypervisortest.TAP(t)}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, vm, "nics", "02:00:00:00:00:02 "+sysfsOf(path))
	if err := vm.UnplugDisk(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, vm, "disks"); strings.Contains(got, "second") {
		t.Errorf("disks after the unplugging: %q", got)
	}
	if err := vm.CutNIC(t.Context(), "eth1"); err != nil {
		t.Errorf("cut off a device: %v", err)
	}
	if err := vm.CutNIC(t.Context(), "eth1"); !errdefs.IsNotFound(err) {
		t.Errorf("cut off a device that was: %v", err)
	}
	if err := vm.UnplugNIC(t.Context(), "eth1"); err != nil {
		t.Fatal(err)
	}
	s := share(t, tempDir(t))
	s.Tag = "later"
	if _, err := vm.PlugShare(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	eventually(t, vm, "tags", "later")
	if got := ask(t, vm, "mount later virtiofs /later") + ask(t, vm, "cat /later/hello"); got != "from the host" {
		t.Errorf("the later share: %q", got)
	}
}

// sysfsOf is where the guest's sysfs shows a device behind the bridge, whose bus
// is the only other one.
func sysfsOf(p hypervisor.PCIPath) string {
	bridge, slot, _ := strings.Cut(string(p), "/")
	return fmt.Sprintf("/sys/devices/pci0000:00/0000:00:%s.0/0000:01:%s.0/", bridge, slot)
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	first, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(first, second)
}

// TestVMEndsByItself sees that each way a guest can end is told apart.
func TestVMEndsByItself(t *testing.T) {
	binary, kernel, initrd := hypervisortest.QEMU(t), hypervisortest.Kernel(t), hypervisortest.Guest(t, t.TempDir())
	for _, tc := range []struct {
		command string
		says    []string
	}{
		{"exit", []string{"guest panic", "Attempted to kill init"}},
		{"poweroff", []string{"powered itself off"}},
		{"reboot", []string{"reset itself"}},
	} {
		t.Run(tc.command, func(t *testing.T) {
			vm := New(hypervisor.Config{
				ID: tc.command, Dir: tempDir(t), Binary: binary, Kernel: kernel, Initrd: initrd, VCPUs: 1, MemoryMiB: 128,
			})
			if err := vm.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = vm.Stop(context.Background()) }()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, err := vm.Dialer().Dial(ctx, transport.PortConsole)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tc.command+"\n"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-vm.Done():
			case <-ctx.Done():
				t.Fatalf("the VM goes on; console: %s", console(vm))
			}
			e := vm.Exit()
			t.Logf("cause: %v", e.Cause)
			for _, s := range tc.says {
				if e.Cause == nil || !strings.Contains(e.Cause.Error(), s) {
					t.Errorf("cause %v does not say %q", e.Cause, s)
				}
			}
			if !strings.Contains(e.Console, "testguest: up") {
				t.Errorf("console %q", e.Console)
			}
		})
	}
}

// TestVMRefusedByQEMU gives QEMU what preflight cannot see through.
func TestVMRefusedByQEMU(t *testing.T) {
	binary, initrd := hypervisortest.QEMU(t), hypervisortest.Guest(t, t.TempDir())
	for _, tc := range []struct {
		name   string
		change func(*testing.T, *hypervisor.Config)
		says   string
	}{
		{"ELF header only", func(t *testing.T, c *hypervisor.Config) {
			c.Kernel = file(t, t.TempDir(), "vmlinux", append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 8192)...))
		}, "QEMU exited with status 1"},
		{"unknown CPU feature", func(t *testing.T, c *hypervisor.Config) {
			c.Kernel, c.CPUFeatures = hypervisortest.Kernel(t), "no-such-feature=on"
		}, "no-such-feature"},
		{"a program that is not QEMU", func(t *testing.T, c *hypervisor.Config) {
			c.Kernel, c.Binary = hypervisortest.Kernel(t), "/bin/false"
		}, "exited with status 1"},
		{"a corrupt QEMU", func(t *testing.T, c *hypervisor.Config) {
			c.Kernel, c.Binary = hypervisortest.Kernel(t), file(t, t.TempDir(), "qemu", []byte("\x00\x01"))
		}, "exec format error"},
		{"no network namespace", func(t *testing.T, c *hypervisor.Config) {
			c.Kernel, c.NetNS = hypervisortest.Kernel(t), "/nonexistent/netns"
		}, "network namespace"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := hypervisor.Config{ID: "refused", Dir: tempDir(t), Binary: binary, Initrd: initrd, VCPUs: 1, MemoryMiB: 128}
			tc.change(t, &cfg)
			began := time.Now()
			vm := New(cfg)
			err := vm.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
			t.Logf("after %v: %v", time.Since(began), err)
			if err := vm.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestVMEverySlot sees that the guest has room for as many later devices as the
// driver takes.
func TestVMEverySlot(t *testing.T) {
	vm := New(hypervisor.Config{
		ID: "full", Dir: tempDir(t), Binary: hypervisortest.QEMU(t), Kernel: hypervisortest.Kernel(t),
		Initrd: hypervisortest.Guest(t, t.TempDir()), VCPUs: 1, MemoryMiB: 256, HotplugSlots: maxLater,
	})
	t.Cleanup(func() { _ = vm.Stop(context.Background()) })
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Before its first answer the guest may not listen to ACPI yet.
	ask(t, vm, "disks")
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range maxLater {
		d := hypervisor.Disk{ID: fmt.Sprintf("disk%d", i), Path: file, ReadOnly: true}
		path, err := vm.PlugDisk(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, vm, "disks", d.ID+" "+sysfsOf(path))
	}
}

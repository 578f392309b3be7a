// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/ledger"
	"github.com/katapod/katapod/sandbox/storage"
)

// guestFile finds a part of the guest where the build leaves it, or where
// KATAPOD_GUEST says.
func guestFile(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("KATAPOD_GUEST")
	if dir == "" {
		dir = filepath.Join("..", "out", "guest")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the guest is not built: %v; run make guest", err)
	}
	return path
}

// realPod is a pod with real drivers; nothing of it is on the host yet.
func realPod(t *testing.T, change ...func(*Options)) *Sandbox {
	t.Helper()
	needRoot(t)
	if testing.Short() {
		t.Skip("boots a VM, which takes seconds; run without -short")
	}
	c := config.Default()
	h := &c.Hypervisor
	h.Kernel, h.Image = guestFile(t, "vmlinux"), guestFile(t, "katapod.img")
	h.VirtioFSDaemon, h.DefaultMemory = virtiofsdBinary(t), 512
	if _, err := os.Stat(h.Path); err != nil {
		t.Skipf("QEMU is not installed: %v", err)
	}
	state, err := os.MkdirTemp("", "kp") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Remove(filepath.Join(state, "sbs"))
		_ = os.Remove(filepath.Join(state, "vm"))
		_ = os.Remove(state)
	})
	c.Runtime.StateDir = state
	o := Options{ID: filepath.Base(state), Namespace: "test", Config: c, Hostname: "pod-of-test", CgroupPath: "/" + filepath.Base(state) + "/x"}
	for _, ch := range change {
		ch(&o)
	}
	drivers, err := DefaultDrivers(c)
	if err != nil {
		t.Fatal(err)
	}
	pod, err := New(o, drivers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopReal(t, pod) })
	return pod
}

// stopReal stops a real pod and checks that nothing of it is left.
func stopReal(t *testing.T, pod *Sandbox) {
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	defer cancel()
	if err := pod.Stop(ctx); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(text), pod.dirs.state) {
		t.Errorf("mounts are left, or %v", err)
	}
	for _, dir := range []string{pod.dirs.state, pod.dirs.vm} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	left, _ := filepath.Glob("/sys/fs/cgroup/*/" + pod.ID() + "/*" + pod.ID())
	if len(left) > 0 {
		t.Errorf("cgroups are left: %v", left)
	}
	parents, _ := filepath.Glob("/sys/fs/cgroup/*/" + pod.ID())
	for _, p := range parents {
		_ = os.Remove(p) // the engine's, which this test stands for
	}
}

// startReal starts a pod and tells what took how long.
func startReal(t *testing.T, pod *Sandbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, 60*time.Second)
	defer cancel()
	if err := pod.Start(ctx); err != nil {
		var f *Failure
		if errors.As(err, &f) {
			t.Logf("console:\n%s\nVMM:\n%s", f.Console, f.VMMLog)
		}
		t.Fatal(err)
	}
	for _, s := range pod.Timeline() {
		t.Logf("%-14s %6.1f ms +%6.1f ms", s.Name, milliseconds(s.Start), milliseconds(s.Duration))
	}
}

// busyboxBundle is a bundle whose root file system is a static busybox.
func busyboxBundle(t *testing.T) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not installed; the package is busybox-static")
	}
	if out, err := exec.Command("file", "-L", busybox).CombinedOutput(); err == nil && strings.Contains(string(out), "dynamically") {
		t.Skip("busybox is not static; the package is busybox-static")
	}
	bundle := t.TempDir()
	for _, dir := range []string{"bin", "proc", "dev", "sys", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(bundle, "rootfs", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"busybox", "sh", "cat", "ip", "ls"} {
		if err := os.WriteFile(filepath.Join(bundle, "rootfs", "bin", name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bundle
}

func realContainer(bundle, id string, args ...string) ContainerOptions {
	o := containerOptions(id, args...)
	o.Bundle, o.Rootfs, o.Stdin, o.Stderr = bundle, nil, false, true
	o.Spec.Process.Env = []string{"PATH=/bin"}
	o.Spec.Mounts = []specs.Mount{
		{Type: "proc", Source: "proc", Destination: "/proc"},
		{Type: "tmpfs", Source: "tmpfs", Destination: "/dev", Options: []string{"nosuid", "mode=755"}},
	}
	return o
}

// runReal runs a container to its end and returns its output.
func runReal(t *testing.T, pod *Sandbox, o ContainerOptions) (output string, code int) {
	t.Helper()
	c, err := pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c.Init().Stdout())
	if err != nil {
		t.Error(err)
	}
	errs, err := io.ReadAll(c.Init().Stderr())
	if err != nil {
		t.Error(err)
	}
	await(t, c.Init().Done(), "the container's end")
	code, _ = c.Init().ExitStatus()
	if err := c.Delete(background); err != nil {
		t.Error(err)
	}
	return string(out) + string(errs), code
}

func TestVMPod(t *testing.T) {
	bundle := busyboxBundle(t)
	pod := realPod(t)
	startReal(t, pod)
	began := time.Now()
	out, code := runReal(t, pod, realContainer(bundle, "c1", "sh", "-c", "busybox hostname; echo oops >&2; exit 5"))
	t.Logf("a container from create to delete took %v", time.Since(began))
	if out != "pod-of-test\noops\n" || code != 5 {
		t.Errorf("the container said %q and exited with %d", out, code)
	}
	c, err := pod.CreateContainer(background, realContainer(bundle, "c2", "busybox", "sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	p, err := c.Exec(background, ExecOptions{ID: "e1", Process: &specs.Process{Args: []string{"cat"}, Cwd: "/", Env: []string{"PATH=/bin"}}, Stdin: true, Stdout: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(background); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", 100_000)
	go func() {
		_, _ = io.WriteString(p.Stdin(), text)
		_ = c.CloseIO(background, "e1")
	}()
	if got, err := io.ReadAll(p.Stdout()); err != nil || string(got) != text {
		t.Errorf("cat gave %d bytes of %d, %v", len(got), len(text), err)
	}
	if code := wait(t, p); code != 0 {
		t.Errorf("exec exited with %d", code)
	}
	t.Logf("an exec that copies 1 MB took %v", time.Since(began))
	if s, err := c.Stats(background); err != nil || s.GetCgroupStats().GetMemoryStats().GetUsage().GetUsage() == 0 {
		t.Errorf("stats %v, %v", s, err)
	}
	if err := c.Kill(background, "", 9, false); err != nil {
		t.Fatal(err)
	}
	if code := wait(t, c.Init()); code != 137 {
		t.Errorf("a killed container exited with %d", code)
	}
	if err := c.Delete(background); err != nil {
		t.Error(err)
	}
}

// A veth that appears after the pod was started is in the guest before the
// first process runs.
func TestVMLateNetwork(t *testing.T) {
	bundle := busyboxBundle(t)
	pod := realPod(t)
	startReal(t, pod)
	c, err := pod.CreateContainer(background, realContainer(bundle, "c1", "sh", "-c", "ip -o addr show dev eth0; ip route; ip -o link show dev eth0"))
	if err != nil {
		t.Fatal(err)
	}
	addVeth(t, pod.network.path(), "10.88.7.2/24", "10.88.7.1")
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c.Init().Stdout())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10.88.7.2/24", "default via 10.88.7.1", "02:11:22:33:44:55", "mtu 1400"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the guest lacks %q:\n%s", want, out)
		}
	}
	wait(t, c.Init())
}

// addVeth does what an engine does: a veth in the namespace, with an address
// and a default route.
func addVeth(t *testing.T, path, address, gateway string) {
	t.Helper()
	ns, err := netns.GetFromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mac, _ := net.ParseMAC("02:11:22:33:44:55")
	must(h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0", MTU: 1400, HardwareAddr: mac}, PeerName: "peer"}))
	for _, name := range []string{"eth0", "peer"} {
		l, err := h.LinkByName(name)
		must(err)
		must(h.LinkSetUp(l))
		if name == "peer" {
			continue
		}
		prefix := netip.MustParsePrefix(address)
		must(h.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}}))
		must(h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.ParseIP(gateway)}))
	}
	if s, err := network.Scan(path); err != nil || len(s.Endpoints) == 0 {
		t.Fatalf("the namespace has %v, %v", s, err)
	}
}

// A root on a disk needs no share.
func TestVMDiskRoot(t *testing.T) {
	bundle := busyboxBundle(t)
	image := filepath.Join(t.TempDir(), "root.img")
	if err := makeSparse(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-d", filepath.Join(bundle, "rootfs"), image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	pod := realPod(t, func(o *Options) { o.Config.Hypervisor.SharedFS = config.SharedFSNone })
	startReal(t, pod)
	for _, id := range []string{"c1", "c2"} {
		o := realContainer(bundle, id, "sh", "-c", "echo x > /file-"+id+"; ls /")
		o.Rootfs = []storage.Mount{{Type: "ext4", Source: image, Options: []string{"loop", "rw"}}}
		out, code := runReal(t, pod, o)
		if code != 0 || !strings.Contains(out, "file-"+id) {
			t.Errorf("the container said %q and exited with %d", out, code)
		}
	}
}

func TestVMDeath(t *testing.T) {
	bundle := busyboxBundle(t)
	for _, victim := range []string{"VMM", "virtiofsd"} {
		t.Run(victim, func(t *testing.T) {
			pod := realPod(t)
			startReal(t, pod)
			c, err := pod.CreateContainer(background, realContainer(bundle, "c1", "busybox", "sleep", "1000"))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(background); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			killVictim(t, pod, victim)
			if code := wait(t, c.Init()); code != 137 {
				t.Errorf("exit code %d", code)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("the process ended after %v", took)
			}
			await(t, pod.Done(), "the pod's end")
			t.Logf("%v", pod.Failure())
			want := map[string]Code{"VMM": CodeVMMDied, "virtiofsd": CodeVirtiofsdDied}[victim]
			if got := pod.Failure(); got.Code != want {
				t.Errorf("code %s, want %s", got.Code, want)
			}
			if held := pod.resources.ledger.Held(); len(held) > 0 {
				t.Errorf("the ledger holds %v", held)
			}
		})
	}
}

func killVictim(t *testing.T, pod *Sandbox, victim string) {
	t.Helper()
	vmm := pod.PID()
	for _, r := range pod.resources.ledger.Held() {
		if r.Kind != ledger.Process {
			continue
		}
		is := r.Args[0] == strconv.Itoa(vmm)
		if is == (victim == "VMM") {
			if err := killProcess(background, r.Args[0], r.Args[1]); err != nil {
				t.Error(err)
			}
		}
	}
}

// What a shim that was killed leaves is cleaned up from its ledger.
func TestVMCleanup(t *testing.T) {
	bundle := busyboxBundle(t)
	pod := realPod(t)
	startReal(t, pod)
	if _, err := pod.CreateContainer(background, realContainer(bundle, "c1", "busybox", "sleep", "1000")); err != nil {
		t.Fatal(err)
	}
	pid := pod.PID()
	text, err := os.ReadFile(pod.dirs.ledger())
	if err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "pod") // whose lock nobody holds
	if err := errors.Join(os.Mkdir(crashed, 0o700), os.WriteFile(ledgerIn(crashed), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := Cleanup(background, crashed); err != nil {
		t.Fatal(err)
	}
	if _, err := startTime(pid); err == nil {
		t.Errorf("the VMM %d is left", pid)
	}
	await(t, pod.Done(), "the pod's end")
}

// A guest that panics while it boots is reported when it does.
func TestVMGuestPanics(t *testing.T) {
	pod := realPod(t, func(o *Options) { o.Config.Hypervisor.KernelParams = "init=/no/such/init" })
	began := time.Now()
	err := pod.Start(background)
	var f *Failure
	if !errors.As(err, &f) || f.Code != CodeGuestPanicked {
		t.Fatalf("start: %v", err)
	}
	t.Logf("after %v: %v", time.Since(began), err)
	if !strings.Contains(f.Console, "Kernel panic") {
		t.Errorf("console:\n%s", f.Console)
	}
}

// An image that is none is reported before anything runs.
func TestVMCorruptImage(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	pod := realPod(t, func(o *Options) { o.Config.Hypervisor.Image = image })
	var f *Failure
	if err := pod.Start(background); !errors.As(err, &f) || f.Code != CodeImageCorrupt {
		t.Fatalf("start: %v", err)
	}
}

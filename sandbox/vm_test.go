// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/ledger"
	"github.com/katapod/katapod/sandbox/storage"
)

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
	checkLoad(t, pod, c)
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
	pod := realPod(t)
	startReal(t, pod)
	for _, id := range []string{"c1", "c2"} {
		o := realContainer(bundle, id, "sh", "-c", "echo x > /file-"+id+"; ls /")
		o.Rootfs = []storage.Mount{{Type: "ext4", Source: image, Options: []string{"loop", "rw"}}}
		out, code := runReal(t, pod, o)
		if code != 0 || !strings.Contains(out, "file-"+id) {
			t.Errorf("the container said %q and exited with %d", out, code)
		}
	}
	if pod.share.begun || len(processesOf(t, pod)) != 1 {
		t.Errorf("the pod has a share, %v, and the processes %v", pod.share.begun, processesOf(t, pod))
	}
}

// processesOf are the pod's, as the ledger has them.
func processesOf(t *testing.T, pod *Sandbox) []string {
	t.Helper()
	var pids []string
	for _, r := range pod.resources.ledger.Held() {
		if r.Kind == ledger.Process {
			pids = append(pids, r.Args[0])
		}
	}
	return pids
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
			t.Logf("the process ended after %v", time.Since(began))
			await(t, pod.Done(), "the pod's end")
			t.Logf("%v", pod.Failure())
			want := map[string]failure.Code{"VMM": failure.VMMDied, "virtiofsd": failure.VirtiofsdDied}[victim]
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
	if !errors.As(err, &f) || f.Code != failure.GuestPanicked {
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
	if err := pod.Start(background); !errors.As(err, &f) || f.Code != failure.ImageCorrupt {
		t.Fatalf("start: %v", err)
	}
}

// Layers of EROFS under an overlay, written to a disk that is made here: what
// containerd's EROFS snapshotter gives, and no share.
func TestVMLayeredRoot(t *testing.T) {
	if _, err := exec.LookPath("mkfs.erofs"); err != nil {
		t.Skip("mkfs.erofs is not installed; the package is erofs-utils")
	}
	bundle, dir := busyboxBundle(t), t.TempDir()
	layer, writable := filepath.Join(dir, "layer.erofs"), filepath.Join(dir, "rwlayer.img")
	if out, err := exec.Command("mkfs.erofs", layer, filepath.Join(bundle, "rootfs")).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v: %s", err, out)
	}
	pod := realPod(t, func(o *Options) { o.Config.Hypervisor.SharedFS = config.SharedFSNone })
	startReal(t, pod)
	o := realContainer(bundle, "c1", "sh", "-c", "echo x > /new; ls / | grep new; grep ' / ' /proc/mounts")
	o.Rootfs = []storage.Mount{
		{Type: "mkfs/ext4", Source: writable, Options: []string{"X-containerd.mkfs.fs=ext4", "X-containerd.mkfs.size=67108864", "rw", "loop"}},
		{Type: "erofs", Source: layer, Options: []string{"ro", "loop"}},
		{Type: "format/mkdir/overlay", Source: "overlay", Options: []string{
			"X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
			"upperdir={{ mount 0 }}/upper", "workdir={{ mount 0 }}/work", "lowerdir={{ mount 1 }}",
		}},
	}
	out, code := runReal(t, pod, o)
	if code != 0 || !strings.Contains(out, "new") || !strings.Contains(out, "overlay / overlay") {
		t.Errorf("the container said %q and exited with %d", out, code)
	}
	if _, err := os.Stat(writable); !os.IsNotExist(err) {
		t.Errorf("the disk made for the container is left: %v", err)
	}
}

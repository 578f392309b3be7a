// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	taskv3 "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/sandbox"
)

// vmNode is a node with what a VM needs: a configuration that names the guest of
// this checkout.
type vmNode struct {
	node
	config string
}

func newVMNode(t *testing.T) vmNode {
	t.Helper()
	n := vmNode{node: newNode(t)}
	t.Cleanup(func() { n.release(t) })
	out := os.Getenv("KATAPOD_OUT") // as for guest-image/build-image
	if out == "" {
		var err error
		if out, err = filepath.Abs("../../out/guest"); err != nil {
			t.Fatal(err)
		}
	}
	kernel, image := filepath.Join(out, "vmlinux"), filepath.Join(out, "katapod.img")
	for _, path := range []string{kernel, image} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("there is no guest to boot (%v); make it by \"make guest\"", err)
		}
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skipf("there is no VMM: %v", err)
	}
	n.config = filepath.Join(n.dir, "configuration.toml")
	text := fmt.Sprintf(`[hypervisor.qemu]
path = %q
kernel = %q
image = %q
virtio_fs_daemon = %q
default_memory = 256
[runtime]
state_dir = %q

[factory]
enable_template = false
`, qemu, kernel, image, virtiofsd(t), filepath.Join(n.dir, "vc"))
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

func virtiofsd(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skip("there is no virtiofsd")
	return ""
}

// rootfs copies busybox into the bundle.
func rootfs(t *testing.T, bundle string) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skipf("there is no busybox to run in the VM: %v", err)
	}
	content, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"bin", "proc", "dev", "sys", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(bundle, "rootfs", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(bundle, "rootfs/bin/busybox"), content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// spec is what an engine would make for a small container.
func (n vmNode) spec(t *testing.T, bundle string, args ...string) {
	t.Helper()
	caps := []string{"CAP_KILL", "CAP_CHOWN"}
	spec := specs.Spec{
		Version: "1.2.0", Hostname: "guest", Root: &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args: args, Cwd: "/", Env: []string{"PATH=/bin"},
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=64k"}},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
			{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace},
		}},
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// outputs are FIFOs that the test reads.
func outputs(t *testing.T, dir, name string) (string, *os.File) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return path, f
}

// TestAContainerInAVM takes a container through its life without containerd:
// create, start, exec, signals, streams, statistics, exit, delete.
func TestAContainerInAVM(t *testing.T) {
	n := newVMNode(t)
	bundle := n.bundle(t, tasks, "c", nil)
	showLog(t, bundle)
	rootfs(t, bundle)
	n.spec(t, bundle, "/bin/busybox", "sh", "-c", "trap 'exit 7' TERM; echo kernel $(busybox uname -r); read line; echo got $line; while :; do busybox sleep 0.1; done")
	result := n.start(t, bundle, "c")
	server := pid(t, bundle)
	client := taskv3.NewTTRPCTaskClient(connect(t, result.Address))
	stdin := filepath.Join(bundle, "stdin")
	if err := unix.Mkfifo(stdin, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, reader := outputs(t, bundle, "stdout")
	options := &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: encode(t, &runtimeoptions.Options{ConfigPath: n.config})}
	began := time.Now()
	if _, err := client.Create(within(t), &taskv3.CreateTaskRequest{ID: "c", Bundle: bundle, Stdin: stdin, Stdout: stdout, Options: options}); err != nil {
		t.Fatal(err)
	}
	t.Logf("Create took %s", time.Since(began))
	began = time.Now()
	if _, err := client.Start(within(t), &taskv3.StartRequest{ID: "c"}); err != nil {
		t.Fatal(err)
	}
	t.Logf("Start took %s", time.Since(began))
	logMemory(t, server)
	began = time.Now()
	execEcho(t, client, bundle)
	t.Logf("an exec took %s", time.Since(began))
	input, err := os.OpenFile(stdin, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := input.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Stats(within(t), &taskv3.StatsRequest{ID: "c"}); err != nil {
		t.Error(err)
	}
	saysItsLines(t, reader) // only then is the signal sure to find the trap: init ignores one that it does not handle
	if _, err := client.Kill(within(t), &taskv3.KillRequest{ID: "c", Signal: 15}); err != nil {
		t.Error(err)
	}
	waited, err := client.Wait(within(t), &taskv3.WaitRequest{ID: "c"})
	if err != nil || waited.ExitStatus != 7 {
		t.Errorf("Wait answered %v, error %v", waited, err)
	}
	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
		t.Errorf("after its lines the container said %q, error %v", rest, err)
	}
	if _, err := client.Delete(within(t), &taskv3.DeleteRequest{ID: "c"}); err != nil {
		t.Error(err)
	}
	_, _ = client.Shutdown(within(t), &taskv3.ShutdownRequest{ID: "c"}) // the answer may be cut off
	gone(t, server)
	n.nothingLeft(t)
	n.delete(t, bundle, "c")
}

// saysItsLines reads the two lines that the container of TestAContainerInAVM says.
func saysItsLines(t *testing.T, output *os.File) {
	t.Helper()
	if err := output.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(output)
	kernel, err := lines.ReadString('\n')
	if err != nil || !strings.HasPrefix(kernel, "kernel ") {
		t.Errorf("the container said %q first, error %v", kernel, err)
	}
	got, err := lines.ReadString('\n')
	if err != nil || got != "got hello\n" {
		t.Errorf("the container said %q next, error %v", got, err)
	}
}

func execEcho(t *testing.T, client taskv3.TTRPCTaskService, bundle string) {
	t.Helper()
	stdout, reader := outputs(t, bundle, "exec-stdout")
	spec, err := json.Marshal(specs.Process{Args: []string{"/bin/busybox", "echo", "from exec"}, Cwd: "/"})
	if err != nil {
		t.Fatal(err)
	}
	process := &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", Value: spec}
	if _, err := client.Exec(within(t), &taskv3.ExecProcessRequest{ID: "c", ExecID: "e", Stdout: stdout, Spec: process}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Start(within(t), &taskv3.StartRequest{ID: "c", ExecID: "e"}); err != nil {
		t.Fatal(err)
	}
	waited, err := client.Wait(within(t), &taskv3.WaitRequest{ID: "c", ExecID: "e"})
	if err != nil || waited.ExitStatus != 0 {
		t.Errorf("Wait for the exec answered %v, error %v", waited, err)
	}
	if output, err := io.ReadAll(reader); err != nil || string(output) != "from exec\n" {
		t.Errorf("the exec said %q, error %v", output, err)
	}
	if _, err := client.Delete(within(t), &taskv3.DeleteRequest{ID: "c", ExecID: "e"}); err != nil {
		t.Error(err)
	}
}

// TestDeleteAfterTheShimOfAVMWasKilled is the crash of a shim: the delete action
// has the ledger only.
func TestDeleteAfterTheShimOfAVMWasKilled(t *testing.T) {
	n := newVMNode(t)
	bundle := n.bundle(t, tasks, "c", nil)
	rootfs(t, bundle)
	n.spec(t, bundle, "/bin/busybox", "sleep", "1000")
	result := n.start(t, bundle, "c")
	server := pid(t, bundle)
	client := taskv3.NewTTRPCTaskClient(connect(t, result.Address))
	options := &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: encode(t, &runtimeoptions.Options{ConfigPath: n.config})}
	created, err := client.Create(within(t), &taskv3.CreateTaskRequest{ID: "c", Bundle: bundle, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(int(created.Pid), unix.SIGKILL) }) // when delete fails; gone otherwise
	state, err := client.State(within(t), &taskv3.StateRequest{ID: "c"})
	if err != nil || state.Status != task.Status_CREATED {
		t.Errorf("State answered %v, error %v", state, err)
	}
	if err := unix.Kill(server, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, server)
	n.delete(t, bundle, "c")
	gone(t, int(created.Pid))
	n.nothingLeft(t)
}

// release does for a test that failed halfway what delete would have done: its
// shims have been killed by then, and their ledgers tell what they had.
func (n vmNode) release(t *testing.T) {
	pods, err := filepath.Glob(filepath.Join(n.dir, "vc", "sbs", "*"))
	if err != nil {
		t.Error(err)
	}
	for _, pod := range pods {
		err := sandbox.Cleanup(context.Background(), pod)
		for end := time.Now().Add(time.Minute); errdefs.IsFailedPrecondition(err) && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // a killed shim holds its ledger until the kernel has ended it, of which there is no event
			err = sandbox.Cleanup(context.Background(), pod)
		}
		if err != nil {
			t.Errorf("clean up after %s: %v", pod, err)
		}
	}
}

// nothingLeft looks at the state directory and at the host's mounts.
func (n vmNode) nothingLeft(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(n.dir, "vc"), func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "failures":
			return filepath.SkipDir // the last reports stay
		case !d.IsDir():
			t.Errorf("%s was left behind", path)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), n.dir) {
		t.Errorf("a mount below %s was left behind", n.dir)
	}
}

// logMemory prints what the shim takes.
func logMemory(t *testing.T, pid int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "Rss:") || strings.HasPrefix(line, "Pss:") || strings.HasPrefix(line, "Pss_Anon:") {
			t.Log("shim ", strings.TrimSpace(line))
		}
	}
}

// showLog copies the shim's log to the test's, when the test fails.
func showLog(t *testing.T, bundle string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(bundle, "log"), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(f) // ends when the test closes the FIFO
		text <- string(all)
	}()
	t.Cleanup(func() {
		_ = f.SetReadDeadline(time.Now())
		if all := leaktest.Receive(t, text); t.Failed() {
			t.Logf("the shim's log:\n%s", all)
		}
		_ = f.Close()
	})
}

// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// A pod that containerd makes by the Sandbox API has no container that stands for it, tells about itself, and takes
// what of a new size its VM holds.
func TestPodBySandboxAPI(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("runc has no Sandbox API")
	}
	pod := startPod(t, node.Pod{Name: "sandboxapi", Handler: node.SandboxAPIHandler, Memory: 64 << 20})
	for _, list := range []string{"containers", "tasks"} {
		if out, err := shared.Ctr(pod.ctx, "--namespace", "k8s.io", list, "list", "--quiet"); err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("the pod's %s are %q, error %v", list, out, err)
		}
	}
	t.Run("what it tells", func(t *testing.T) { testPodInfo(t, pod) })
	t.Run("a new size", func(t *testing.T) { testPodResize(t, pod) })
}

func testPodInfo(t *testing.T, pod *pod) {
	out, err := shared.Crictl(pod.ctx, "inspectp", pod.id)
	if err != nil {
		t.Fatal(err)
	}
	var inspected struct {
		Status struct{ State string }
		Info   struct {
			PID           int
			ProcessStatus string
			RuntimeSpec   struct {
				Linux struct{ Namespaces []struct{ Type, Path string } }
			}
		}
		Hypervisor, Accelerator, Vcpus string
	}
	if err := json.Unmarshal([]byte(out), &inspected); err != nil {
		t.Fatalf("crictl inspectp printed %q: %v", out, err)
	}
	info := inspected.Info
	if inspected.Status.State != "SANDBOX_READY" || info.ProcessStatus != "running" || inspected.Hypervisor != "qemu" || inspected.Accelerator == "" || inspected.Vcpus == "" {
		t.Errorf("crictl inspectp printed %s", out)
	}
	// The pid is that of a process in the pod's network namespace, which scripts look for in both ways.
	spaces := info.RuntimeSpec.Linux.Namespaces
	if len(spaces) != 1 || spaces[0].Type != "network" {
		t.Fatalf("the namespaces are %+v", spaces)
	}
	byPID, err := shared.Runner().Run(pod.ctx, "stat", "--dereference", "--format", "%i", fmt.Sprintf("/proc/%d/ns/net", info.PID))
	if err != nil {
		t.Fatal(err)
	}
	if byPath, err := shared.Runner().Run(pod.ctx, "stat", "--format", "%i", spaces[0].Path); err != nil || byPath != byPID {
		t.Errorf("the network namespace is %s by its path and %s by the pid, error %v", byPath, byPID, err)
	}
}

// testPodResize is what kubelet does when somebody resizes a pod in place.
func testPodResize(t *testing.T, pod *pod) {
	conn, err := grpc.NewClient("unix://"+shared.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	resize := func(r *cri.LinuxContainerResources) error {
		_, err := cri.NewRuntimeServiceClient(conn).UpdatePodSandboxResources(pod.ctx, &cri.UpdatePodSandboxResourcesRequest{PodSandboxId: pod.id, Resources: r})
		return err
	}
	if err := resize(&cri.LinuxContainerResources{CpuShares: 512, MemoryLimitInBytes: 32 << 20}); err != nil {
		t.Errorf("a smaller pod: %v", err)
	}
	name := fmt.Sprintf("%s/kata_%s", shared.Name(), pod.id)
	if shares, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/cpu", name, "cpu.shares")); err == nil {
		if got := strings.TrimSpace(string(shares)); got != "512" {
			t.Errorf("the pod's cgroup on the node has cpu.shares %s, want 512", got)
		}
	} else if weight, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", name, "cpu.weight")); err != nil || strings.TrimSpace(string(weight)) == "100" {
		t.Errorf("the pod's cgroup on the node has cpu.weight %q, error %v", weight, err)
	}
	if err := resize(&cri.LinuxContainerResources{MemoryLimitInBytes: 1 << 30}); err != nil {
		t.Errorf("a pod with more memory than its VM had: %v", err)
	}
	more := &cri.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 800_000}
	if err := resize(more); err == nil || !strings.Contains(err.Error(), "create the pod anew") {
		t.Errorf("a pod with more CPUs than its VM: %v", err)
	}
}

// A client of containerd's own makes a sandbox by an OCI specification, and puts containers into it.
func TestCtrSandbox(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("runc has no Sandbox API")
	}
	ctx := begin(t)
	spec := filepath.Join(t.TempDir(), "pod.json")
	text := fmt.Sprintf(`{"hostname":"by-ctr","linux":{"cgroupsPath":"/%s/by-ctr","namespaces":[{"type":"network"},{"type":"ipc"}]}}`, shared.Name())
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const id = "by-ctr"
	ctr := func(args ...string) string {
		t.Helper()
		out, err := shared.Ctr(ctx, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Cleanup(func() {
		if out, err := shared.Ctr(context.Background(), "sandboxes", "rm", id); err != nil {
			t.Errorf("remove the sandbox: %s, %v", out, err)
		}
	})
	ctr("sandboxes", "run", "--runtime", "io.containerd.kata.v2", spec, id)
	in := func(container string, args ...string) string {
		return ctr(ctrRun(append([]string{"--sandbox", id, images.Busybox, container}, args...)...)...)
	}
	if got := in("first", "sh", "-c", "echo kept >/dev/shm/file; cat /proc/sys/kernel/random/boot_id"); got != in("second", "cat", "/proc/sys/kernel/random/boot_id") {
		t.Errorf("the sandbox's containers ran in different kernels")
	}
	if got := in("third", "cat", "/dev/shm/file"); got != "kept\n" {
		t.Errorf("the sandbox's /dev/shm holds %q", got)
	}
}

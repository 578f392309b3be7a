// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// Pods go on while containerd is away, and are found again.
func TestContainerdRestart(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "restart"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
	pod.exec(id, "sh", "-c", "echo kept >/dev/shm/file")
	if err := shared.RestartContainerd(ctx); err != nil {
		t.Fatal(err)
	}
	if state := pod.state(id); state != "CONTAINER_RUNNING" {
		t.Errorf("after containerd's restart the container is in state %s", state)
	}
	if got := pod.exec(id, "cat", "/dev/shm/file"); got != "kept\n" {
		t.Errorf("after containerd's restart the pod's memory holds %q", got)
	}
}

// The end of the VM ends its containers, and the pod can be removed as any other.
func TestVMDeath(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("runc has no virtual machine that could die")
	}
	testDeath(t, "vm-death", func(p node.Process) bool { return strings.HasPrefix(p.Name(), "qemu-system") })
}

// The end of the shim leaves nothing running, once containerd has noticed it and the pod is removed.
func TestShimDeath(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("runc's shim leaves its socket when it is killed")
	}
	testDeath(t, "shim-death", func(p node.Process) bool { return strings.HasPrefix(p.Name(), "containerd-shim") })
}

// testDeath kills the processes of a pod that match and removes the pod then.
func testDeath(t *testing.T, name string, match func(node.Process) bool) {
	ctx := begin(t)
	before, err := shared.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p := &pod{t: t, ctx: ctx, spec: node.Pod{Name: name, Handler: shared.runtime}}
	if p.id, err = shared.RunPod(ctx, p.spec); err != nil {
		t.Fatal(err)
	}
	id := p.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
	processes, err := shared.PodProcesses()
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, process := range processes {
		if match(process) {
			killed++
			if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if killed != 1 {
		t.Errorf("killed %d processes of %v, want 1", killed, processes)
	}
	p.waitExited(id)
	if code := p.exitCode(id); code == 0 {
		t.Error("a container that was torn away has exit code 0")
	}
	if err := shared.RemovePod(ctx, p.id); err != nil {
		t.Error(err)
	}
	left, err := shared.WaitEmpty(ctx, before)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind:\n%s", left)
	}
}

// Pods start and end side by side without getting in each other's way.
func TestPodsInParallel(t *testing.T) {
	ctx := begin(t)
	var pods sync.WaitGroup
	for _, name := range []string{"par-a", "par-b", "par-c"} {
		pods.Go(func() {
			spec := node.Pod{Name: name, Handler: shared.runtime}
			if err := runAndRemove(ctx, spec); err != nil {
				t.Errorf("pod %s: %v", name, err)
			}
		})
	}
	pods.Wait()
}

func runAndRemove(ctx context.Context, spec node.Pod) error {
	pod, err := shared.RunPod(ctx, spec)
	if err != nil {
		return err
	}
	id, err := shared.StartContainer(ctx, pod, spec, node.Container{
		Name: "main", Image: images.Busybox, Args: []string{"probe", "pause"},
	})
	if err != nil {
		return err
	}
	if _, err := shared.Crictl(ctx, "exec", "--sync", id, "true"); err != nil {
		return err
	}
	return shared.RemovePod(ctx, pod)
}

// Many processes at once in one container, each with its own output and exit code.
func TestExecInParallel(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "execs"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
	begin := time.Now()
	var execs sync.WaitGroup
	for _, word := range strings.Fields("a b c d e f g h i j k l") {
		execs.Go(func() {
			want := strings.Repeat(word+"\n", 2000)
			script := "for i in $(seq 2000); do echo " + word + "; done"
			if got, err := shared.Crictl(ctx, "exec", id, "sh", "-c", script); err != nil || got != want {
				t.Errorf("process %s printed %d bytes, want %d, error %v", word, len(got), len(want), err)
			}
		})
	}
	execs.Wait()
	t.Logf("12 processes took %s", time.Since(begin).Round(time.Millisecond))
}

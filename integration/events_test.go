// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strconv"
	"testing"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// A lone container tells everything once and in order, also when it is killed.
func TestCtrEvents(t *testing.T) {
	ctx := begin(t)
	log := followEvents(t)
	const id = "events"
	ctr := func(args ...string) {
		t.Helper()
		if _, err := shared.Ctr(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	run := ctrRun(images.Busybox, id, "probe", "pause")
	ctr(append([]string{"run", "--detach"}, run[2:]...)...) // without --rm
	ctr("tasks", "exec", "--exec-id", "joined", id, "true")
	ctr("tasks", "pause", id)
	ctr("tasks", "resume", id)
	term, err := shared.Runner().StartTerminal(ctx, 80, 24, "ctr", "tasks", "exec", "--exec-id", "stays", id, "probe", "pause")
	if err != nil {
		t.Fatal(err)
	}
	stays := &startedTask{t, term}
	stays.expect(ctx, "waiting")
	ctr("tasks", "kill", "--signal", "SIGKILL", id)
	log.wait(id, "exit")
	if code := stays.wait(ctx); code != 137 {
		t.Errorf("a process that ended with its container has exit code %d, want 137", code)
	}
	if _, err := shared.Runner().Try(ctx, "ctr", "tasks", "delete", id); err != nil { // its exit code is the task's
		t.Fatal(err)
	}
	ctr("containers", "delete", id)
	log.expect(id, shared.Name(), 137, "create", "start", "exec-added exec", "exec-started exec", "exit exec", "paused", "resumed",
		"exec-added exec", "exec-started exec", "exit exec", "exit", "delete")
}

// One that runs out of memory says so before its end.
func TestCtrEventsOfOOM(t *testing.T) {
	ctx := begin(t)
	log := followEvents(t)
	const id = "greedy"
	run := ctrRun("--memory-limit", strconv.Itoa(40<<20), images.Busybox, id, "probe", "eat", "200000000")
	if res, err := shared.Runner().Try(ctx, "ctr", run...); err != nil || res.Code != 137 {
		t.Errorf("the container ended with %+v, error %v", res, err)
	}
	log.expect(id, shared.Name(), 137, "create", "start", "oom", "exit", "delete")
}

// The containers of a pod tell everything once and in order, with a pause container and without. The pod lives through
// the end of its containers, and through a crash of one that is made anew.
func TestPodEvents(t *testing.T) {
	for _, handler := range podHandlers() {
		t.Run(handler, func(t *testing.T) {
			log := followEvents(t)
			pod := startPod(t, node.Pod{Name: "events-" + handler, Handler: handler})
			crictl := func(args ...string) {
				t.Helper()
				if _, err := shared.Crictl(pod.ctx, args...); err != nil {
					t.Fatal(err)
				}
			}
			long := pod.start(node.Container{Name: "long", Args: []string{"probe", "pause"}})
			pod.waitLog("long", "waiting") // only then is the signal of the stop sure to be heard
			pod.exec(long, "true")

			crashed := pod.start(node.Container{Name: "crashes", Args: []string{"sh", "-c", "kill -SEGV $$; sleep 0.1; exit 9"}})
			pod.waitExited(crashed)
			crictl("rm", crashed)
			log.expect(crashed, "k8s.io", 9, "create", "start", "exit", "delete")
			again := pod.start(node.Container{Name: "crashes", Args: []string{"sh", "-c", "exit 0"}})
			pod.waitExited(again)
			crictl("rm", again)
			log.expect(again, "k8s.io", 0, "create", "start", "exit", "delete")

			greedy := pod.start(node.Container{
				Name: "greedy", Args: []string{"probe", "eat", "200000000"},
				Linux: map[string]any{"resources": map[string]any{"memory_limit_in_bytes": 40 << 20}},
			})
			pod.waitExited(greedy)
			crictl("rm", greedy)
			log.expect(greedy, "k8s.io", 137, "create", "start", "oom", "exit", "delete")

			crictl("stop", "--timeout", "20", long)
			crictl("rm", long)
			log.expect(long, "k8s.io", 0, "create", "start", "exec-added exec", "exec-started exec", "exit exec", "exit", "delete")
			crictl("stopp", pod.id)
			if handler != node.SandboxAPIHandler {
				log.expect(pod.id, "k8s.io", 137, // containerd sends it SIGKILL
					"create", "start", "exit", "delete")
			} else if list := log.of(pod.id); len(list) > 0 {
				t.Errorf("a pod without a pause container has the events %+v", list)
			}
		})
	}
}

// podHandlers are the ways in which a pod comes to a shim.
func podHandlers() []string {
	if shared.runtime == "runc" {
		return []string{"runc"}
	}
	return []string{"kata", node.SandboxAPIHandler}
}

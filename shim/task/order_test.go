// SPDX-License-Identifier: Apache-2.0

package task

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/podkind"
	"github.com/katapod/katapod/shim/stdio"
)

// Engines forget a container's execs when they hear of its end; what they hear of
// one after that is lost, its exit code too.
func TestExecsEndBeforeTheirContainer(t *testing.T) {
	b := reach(t, "exec created")
	b.mustExec(t, &taskapi.ExecProcessRequest{ID: "c", ExecID: "never started"})
	b.mustStart(t, "c", "e")
	c := b.vm().container("c")
	c.init.exit(0)
	c.exec("e").exit(137)
	b.wait(t, "c", "")
	var ended []string
	for _, e := range b.events.all() {
		if exit, is := e.(*events.TaskExit); is {
			ended = append(ended, exit.ID)
		}
	}
	if !slices.Equal(ended, []string{"e", "c"}) {
		t.Errorf("the exits were of %q, want those of the exec and then of the container", ended)
	}
}

// A container that a client puts into a pod of the Sandbox API bears no sign of it.
func TestAContainerInAPodOfTheSandboxAPI(t *testing.T) {
	b := newBench(t)
	if _, err := b.Pod.Begin(t.Context(), sandbox.Options{ID: "pod", Bundle: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	b.mustCreate(t, "c", nil)
	b.mustStart(t, "c", "")
	b.vm().container("c").init.exit(0)
	b.wait(t, "c", "")
	if _, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: "c"}); err != nil {
		t.Error(err)
	}
	if _, err := b.Service.Shutdown(t.Context(), &taskapi.ShutdownRequest{ID: "c"}); err != nil {
		t.Error(err)
	}
	select {
	case <-b.vm().Done():
		t.Error("the pod ended with its container")
	case <-b.shutdown:
		t.Error("the shim left with the pod's container")
	default:
	}
}

// An exec whose end nobody tells does not hide that of its container.
func TestAnExecThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContainer("c", "", podkind.Lone, newProcess("c", "", stdio.Paths{}, 1))
		e := newProcess("c", "e", stdio.Paths{}, 1)
		e.move(task.Status_RUNNING)
		c.add(e)
		c.awaitExecs() // returns after a while
	})
}

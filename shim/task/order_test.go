// SPDX-License-Identifier: Apache-2.0

package task

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"

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

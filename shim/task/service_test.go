// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	stats1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	stats2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	taskevents "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/integration/leaktest"
)

func TestDeathOfTheVM(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "pod", asSandbox("pod"))
	b.mustStart(t, "pod", "")
	b.mustCreate(t, "a", asMember("pod"))
	b.mustStart(t, "a", "")
	b.mustExec(t, &taskapi.ExecProcessRequest{ID: "a", ExecID: "e"})
	b.mustStart(t, "a", "e")
	b.mustCreate(t, "never", asMember("pod"))
	if err := b.vm().Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range [][2]string{{"pod", ""}, {"a", ""}, {"a", "e"}, {"never", ""}} {
		if code := b.wait(t, p[0], p[1]); code != 137 {
			t.Errorf("%v ended with %d", p, code)
		}
		if s := b.status(t, p[0], p[1]); s != task.Status_STOPPED {
			t.Errorf("%v is %v", p, s)
		}
		_, err := b.Kill(t.Context(), &taskapi.KillRequest{ID: p[0], ExecID: p[1], Signal: 9})
		is(t, "Kill after the VM's death", err, errdefs.ErrNotFound)
	}
	for _, id := range []string{"a", "never", "pod"} {
		if _, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: id}); err != nil {
			t.Error(err)
		}
	}
}

func TestAPodThatDoesNotStart(t *testing.T) {
	b := newBench(t)
	b.startErr = errBroken
	_, err := b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "x", Bundle: b.bundle(t, "x", nil)})
	is(t, "Create", err, errdefs.ErrUnavailable)
	if err == nil || err.Error() != errBroken.Error() {
		t.Errorf("the sentence for the pod's event is %v", err)
	}
	_, err = b.State(t.Context(), &taskapi.StateRequest{ID: "x"})
	is(t, "State", err, errdefs.ErrNotFound)
	b.expectEvents(t)
	b.startErr = nil
	b.mustCreate(t, "x", nil) // the same id may be tried again
}

func TestAContainerThatIsNotCreatedEndsItsPod(t *testing.T) {
	b := newBench(t)
	b.createErr = fmt.Errorf("no such device: %w", errdefs.ErrInvalidArgument)
	_, err := b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "x", Bundle: b.bundle(t, "x", nil)})
	is(t, "Create", err, errdefs.ErrInvalidArgument)
	select {
	case <-b.vm().Done():
	default:
		t.Error("the VM outlived the container that was not created")
	}
	if _, err := b.Shutdown(t.Context(), &taskapi.ShutdownRequest{}); err != nil {
		t.Fatal(err)
	}
	leaktest.Receive(t, b.shutdown)
}

func TestStateNeverWaits(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	b.mustStart(t, "c", "")
	c := b.vm().container("c")
	c.block = make(chan struct{})
	paused := make(chan error, 1)
	go func() {
		_, err := b.Pause(context.WithoutCancel(t.Context()), &taskapi.PauseRequest{ID: "c"})
		paused <- err
	}()
	answered := make(chan task.Status, 1)
	go func() { answered <- b.status(t, "c", "") }()
	select {
	case <-answered:
	case <-time.After(patience):
		t.Fatal("State waits for the guest")
	}
	close(c.block)
	is(t, "Pause", leaktest.Receive(t, paused), nil)
	if s := b.status(t, "c", ""); s != task.Status_PAUSED {
		t.Errorf("after Pause: %v", s)
	}
	_, err := b.Resume(t.Context(), &taskapi.ResumeRequest{ID: "c"})
	is(t, "Resume", err, nil)
	b.expectEvents(t, "TaskCreate", "TaskStart", "TaskPaused", "TaskResumed")
}

func TestResizeBeforeAndAfterTheStart(t *testing.T) {
	b := newBench(t)
	b.create(t, &taskapi.CreateTaskRequest{ID: "c", Terminal: true}, nil)
	resize := func(w uint32) {
		t.Helper()
		_, err := b.ResizePty(t.Context(), &taskapi.ResizePtyRequest{ID: "c", Width: w, Height: 24})
		is(t, "ResizePty", err, nil)
	}
	resize(80)
	resize(81)
	b.mustStart(t, "c", "")
	resize(100)
	if got := b.vm().container("c").init.sizes; !slices.Equal(got, []windowSize{{80, 24}, {81, 24}, {100, 24}}) {
		t.Errorf("sizes %v", got)
	}
}

func TestUpdateStatsPidsConnect(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	b.mustStart(t, "c", "")
	limit := int64(1 << 30)
	resources := typed(t, "LinuxResources", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}})
	_, err := b.Update(t.Context(), &taskapi.UpdateTaskRequest{ID: "c", Resources: resources})
	is(t, "Update", err, nil)
	if got := b.vm().container("c").resources; got == nil || *got.Memory.Limit != limit {
		t.Errorf("the guest got %v", got)
	}
	stats, err := b.Stats(t.Context(), &taskapi.StatsRequest{ID: "c"})
	is(t, "Stats", err, nil)
	if !strings.HasPrefix(stats.Stats.TypeUrl, "io.containerd.cgroups.v") {
		t.Errorf("metrics of type %s", stats.Stats.TypeUrl)
	}
	pids, err := b.Pids(t.Context(), &taskapi.PidsRequest{ID: "c"})
	if err != nil || len(pids.Processes) != 1 || pids.Processes[0].Pid != fakePID {
		t.Errorf("Pids answered %v, error %v", pids, err)
	}
	who, err := b.Connect(t.Context(), &taskapi.ConnectRequest{ID: "c"})
	if err != nil || who.ShimPid != uint32(os.Getpid()) || who.TaskPid != fakePID {
		t.Errorf("Connect answered %v, error %v", who, err)
	}
}

func TestOOM(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	b.vm().oom <- "c"
	b.vm().oom <- "c" // the second is taken once the first is published
	if names := b.events.names(); !slices.Contains(names, "TaskOOM") {
		t.Errorf("events %v", names)
	}
}

// The guest's word counts for its own containers: an event of another pod's would have the engine report a kill there.
func TestOOMOfAnotherPodsContainer(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	for _, id := range []string{"somebody-elses", "", "c/../d", "c"} {
		b.vm().oom <- id
	}
	b.vm().oom <- "c" // the one before is published once this is taken
	for _, e := range b.events.all() {
		if oom, is := e.(*taskevents.TaskOOM); is && oom.ContainerID != "c" {
			t.Errorf("a kill in container %q was published", oom.ContainerID)
		}
	}
}

func TestAnOOMKillIsToldBeforeTheExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // an exit is held back for less time than a busy machine may take between the two
		b := newBench(t)
		b.mustCreate(t, "c", nil)
		b.mustStart(t, "c", "")
		b.vm().container("c").init.exit(137) // the guest tells of the kill after the exit
		b.vm().oom <- "c"
		b.wait(t, "c", "")
		b.expectEvents(t, "TaskCreate", "TaskStart", "TaskOOM", "TaskExit")
		resp, err := b.Stats(t.Context(), &taskapi.StatsRequest{ID: "c"})
		if err != nil {
			t.Fatal(err)
		}
		kills := uint64(0)
		switch resp.Stats.TypeUrl {
		case "io.containerd.cgroups.v1.Metrics":
			var m stats1.Metrics
			is(t, "decode", proto.Unmarshal(resp.Stats.Value, &m), nil)
			kills = m.MemoryOomControl.GetOomKill()
		default:
			var m stats2.Metrics
			is(t, "decode", proto.Unmarshal(resp.Stats.Value, &m), nil)
			kills = m.MemoryEvents.GetOomKill()
		}
		if kills != 1 {
			t.Errorf("the statistics after the exit tell of %d out-of-memory kills", kills)
		}
	})
}

func TestCloseIOBeforeTheStartOfAnExec(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	b.mustStart(t, "c", "")
	in := filepath.Join(b.dir, "in")
	if err := unix.Mkfifo(in, 0o600); err != nil {
		t.Fatal(err)
	}
	b.mustExec(t, &taskapi.ExecProcessRequest{ID: "c", ExecID: "e", Stdin: in})
	if f, err := os.OpenFile(in, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
		_ = f.Close()
		t.Error("somebody reads the input of an exec that was not started: ctr would miss its end")
	}
	_, err := b.CloseIO(t.Context(), &taskapi.CloseIORequest{ID: "c", ExecID: "e", Stdin: true})
	is(t, "CloseIO", err, nil)
	b.mustStart(t, "c", "e")
	if rest, err := io.ReadAll(b.vm().container("c").exec("e").in); err != nil || len(rest) != 0 {
		t.Errorf("the exec read %q, error %v", rest, err)
	}
}

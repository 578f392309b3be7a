// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	stats1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	stats2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// patience is longer than any step of these tests takes.
const patience = 20 * time.Second

func typed(t *testing.T, name string, v any) *anypb.Any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/" + name, Value: text}
}

func (b *bench) mustCreate(t *testing.T, id string, annotations map[string]string) {
	t.Helper()
	b.create(t, &taskapi.CreateTaskRequest{ID: id}, annotations)
}

func (b *bench) create(t *testing.T, r *taskapi.CreateTaskRequest, annotations map[string]string) {
	t.Helper()
	r.Bundle = b.bundle(t, r.ID, annotations)
	resp, err := b.Create(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Pid != fakePID {
		t.Errorf("Create answered pid %d, want %d", resp.Pid, fakePID)
	}
}

func (b *bench) mustStart(t *testing.T, id, execID string) {
	t.Helper()
	resp, err := b.Start(t.Context(), &taskapi.StartRequest{ID: id, ExecID: execID})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Pid != fakePID {
		t.Errorf("Start answered pid %d, want %d", resp.Pid, fakePID)
	}
}

func (b *bench) mustExec(t *testing.T, r *taskapi.ExecProcessRequest) {
	t.Helper()
	r.Spec = typed(t, "Process", specs.Process{Args: []string{"true"}})
	if _, err := b.Exec(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) wait(t *testing.T, id, execID string) uint32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := b.Wait(ctx, &taskapi.WaitRequest{ID: id, ExecID: execID})
	if err != nil {
		t.Fatal(err)
	}
	if resp.ExitedAt.AsTime().IsZero() {
		t.Error("Wait answered no time")
	}
	return resp.ExitStatus
}

func (b *bench) status(t *testing.T, id, execID string) task.Status {
	t.Helper()
	resp, err := b.State(t.Context(), &taskapi.StateRequest{ID: id, ExecID: execID})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status
}

func (b *bench) expectEvents(t *testing.T, want ...string) {
	t.Helper()
	if got := b.events.names(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestLifeOfALoneContainer(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	if s := b.status(t, "c", ""); s != task.Status_CREATED {
		t.Errorf("after Create: %v", s)
	}
	b.mustStart(t, "c", "")
	if s := b.status(t, "c", ""); s != task.Status_RUNNING {
		t.Errorf("after Start: %v", s)
	}
	b.vm().container("c").init.exit(3)
	if code := b.wait(t, "c", ""); code != 3 {
		t.Errorf("Wait answered %d, want 3", code)
	}
	resp, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: "c"})
	if err != nil || resp.ExitStatus != 3 || resp.Pid != fakePID || resp.ExitedAt == nil {
		t.Errorf("Delete answered %v, error %v", resp, err)
	}
	b.expectEvents(t, "TaskCreate", "TaskStart", "TaskExit", "TaskDelete")
	select {
	case <-b.vm().Done():
	default:
		t.Error("the VM outlived its only container")
	}
	if _, err := b.Shutdown(t.Context(), &taskapi.ShutdownRequest{}); err != nil {
		t.Fatal(err)
	}
	<-b.shutdown
}

func TestEventsHaveAllFields(t *testing.T) {
	b := newBench(t)
	out := filepath.Join(b.dir, "out")
	if err := unix.Mkfifo(out, 0o600); err != nil {
		t.Fatal(err)
	}
	b.create(t, &taskapi.CreateTaskRequest{ID: "c", Stdout: out, Terminal: true}, nil)
	b.mustStart(t, "c", "")
	b.mustExec(t, &taskapi.ExecProcessRequest{ID: "c", ExecID: "e"})
	b.mustStart(t, "c", "e")
	b.vm().container("c").exec("e").exit(9)
	b.wait(t, "c", "e")
	if _, err := b.Kill(t.Context(), &taskapi.KillRequest{ID: "c", Signal: 9}); err != nil {
		t.Fatal(err)
	}
	b.wait(t, "c", "")
	if _, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: "c"}); err != nil {
		t.Fatal(err)
	}
	b.expectEvents(t, "TaskCreate", "TaskStart", "TaskExecAdded", "TaskExecStarted", "TaskExit", "TaskExit", "TaskDelete")
	for _, e := range b.events.events {
		switch e := e.(type) {
		case *events.TaskCreate:
			if e.ContainerID != "c" || e.Bundle == "" || e.Pid != fakePID || e.IO.Stdout != out || !e.IO.Terminal {
				t.Errorf("event %v", e)
			}
		case *events.TaskStart:
			if e.ContainerID != "c" || e.Pid != fakePID {
				t.Errorf("event %v", e)
			}
		case *events.TaskExecAdded:
			if e.ContainerID != "c" || e.ExecID != "e" {
				t.Errorf("event %v", e)
			}
		case *events.TaskExecStarted:
			if e.ContainerID != "c" || e.ExecID != "e" || e.Pid != fakePID {
				t.Errorf("event %v", e)
			}
		case *events.TaskExit:
			want := map[string]uint32{"c": 137, "e": 9}[e.ID]
			if e.ContainerID != "c" || e.Pid != fakePID || e.ExitStatus != want || e.ExitedAt == nil {
				t.Errorf("event %v", e)
			}
		case *events.TaskDelete:
			if e.ContainerID != "c" || e.ID != "c" || e.ExitStatus != 137 || e.ExitedAt == nil {
				t.Errorf("event %v", e)
			}
		}
	}
}

func TestPod(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "pod", asSandbox("pod"))
	b.mustStart(t, "pod", "")
	for _, id := range []string{"a", "b"} {
		b.mustCreate(t, id, asMember("pod"))
		b.mustStart(t, id, "")
	}
	if !b.vm().container("pod").pause || b.vm().container("a").pause {
		t.Error("the container that stands for the pod is a container in the guest, or the other way round")
	}
	for _, id := range []string{"a", "b"} {
		if _, err := b.Kill(t.Context(), &taskapi.KillRequest{ID: id, Signal: 15, All: true}); err != nil {
			t.Error(err)
		}
		if code := b.wait(t, id, ""); code != 143 {
			t.Errorf("%s ended with %d", id, code)
		}
		if _, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: id}); err != nil {
			t.Error(err)
		}
		if _, err := b.Shutdown(t.Context(), &taskapi.ShutdownRequest{ID: id}); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-b.vm().Done():
		t.Fatal("the pod ended with its last member")
	case <-b.shutdown:
		t.Fatal("the shim left while the pod lives")
	default:
	}
	if _, err := b.Kill(t.Context(), &taskapi.KillRequest{ID: "pod", Signal: 9}); err != nil {
		t.Fatal(err)
	}
	if code := b.wait(t, "pod", ""); code != 137 {
		t.Errorf("the pod ended with %d", code)
	}
	select {
	case <-b.vm().Done():
	default:
		t.Error("the exit of the pod was told before its VM ended")
	}
	if _, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: "pod"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Shutdown(t.Context(), &taskapi.ShutdownRequest{ID: "pod"}); err != nil {
		t.Fatal(err)
	}
	<-b.shutdown
}

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
	<-b.shutdown
}

func TestAnExitNeverOvertakesItsStart(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	p := b.vm().container("c").init
	p.hold = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		_, err := b.Start(context.WithoutCancel(t.Context()), &taskapi.StartRequest{ID: "c"})
		started <- err
	}()
	p.exit(0)
	close(p.hold)
	if err := <-started; err != nil {
		// The exit was recorded before the start began: no start to tell.
		is(t, "Start of a process that has ended", err, errdefs.ErrFailedPrecondition)
		return
	}
	b.wait(t, "c", "")
	b.expectEvents(t, "TaskCreate", "TaskStart", "TaskExit")
}

func TestWaitReturnsAfterTheOutput(t *testing.T) {
	b := newBench(t)
	out := filepath.Join(b.dir, "out")
	if err := unix.Mkfifo(out, 0o600); err != nil {
		t.Fatal(err)
	}
	engine, err := os.OpenFile(out, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	b.create(t, &taskapi.CreateTaskRequest{ID: "c", Stdout: out}, nil)
	b.mustStart(t, "c", "")
	p := b.vm().container("c").init
	p.exit(0) // the output is still on its way
	go func() {
		_, _ = p.out.Write([]byte(strings.Repeat("x", 1000)))
		_ = p.out.Close()
	}()
	b.wait(t, "c", "")
	if _, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: "c"}); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(engine); err != nil || len(got) != 1000 {
		t.Errorf("%d bytes of output, error %v", len(got), err)
	}
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
	is(t, "Pause", <-paused, nil)
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
	if got := b.vm().container("c").init.sizes; !slices.Equal(got, []windowSize{{81, 24}, {100, 24}}) {
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

func TestAnOOMKillIsToldBeforeTheExit(t *testing.T) {
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
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "pod", asSandbox("pod"))
	b.mustStart(t, "pod", "")
	const containers = 50
	errs := make(chan error, containers)
	for n := range containers {
		id := fmt.Sprintf("c%d", n)
		bundle := b.bundle(t, id, asMember("pod"))
		go func() { errs <- b.wholeLife(context.WithoutCancel(t.Context()), id, bundle, uint32(n)) }()
	}
	for range containers {
		is(t, "life of a container", <-errs, nil)
	}
	order := map[string][]string{}
	for _, e := range b.events.events {
		m := e.ProtoReflect()
		id := m.Get(m.Descriptor().Fields().ByName("container_id")).String()
		order[id] = append(order[id], string(m.Descriptor().Name()))
	}
	for n := range containers {
		id := fmt.Sprintf("c%d", n)
		if want := []string{"TaskCreate", "TaskStart", "TaskExit", "TaskDelete"}; !slices.Equal(order[id], want) {
			t.Errorf("%s: events %v", id, order[id])
		}
	}
}

func (b *bench) wholeLife(ctx context.Context, id, bundle string, code uint32) error {
	if _, err := b.Create(ctx, &taskapi.CreateTaskRequest{ID: id, Bundle: bundle}); err != nil {
		return err
	}
	if _, err := b.Start(ctx, &taskapi.StartRequest{ID: id}); err != nil {
		return err
	}
	go b.vm().container(id).init.exit(int(code))
	resp, err := b.Wait(ctx, &taskapi.WaitRequest{ID: id})
	if err != nil {
		return err
	}
	if resp.ExitStatus != code {
		return fmt.Errorf("%s ended with %d, want %d", id, resp.ExitStatus, code)
	}
	_, err = b.Delete(ctx, &taskapi.DeleteRequest{ID: id})
	return err
}

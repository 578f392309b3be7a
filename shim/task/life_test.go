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

	"github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

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
	leaktest.Receive(t, b.shutdown)
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
	leaktest.Receive(t, b.shutdown)
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
	if err := leaktest.Receive(t, started); err != nil {
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
		is(t, "life of a container", leaktest.Receive(t, errs), nil)
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

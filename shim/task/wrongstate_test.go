// SPDX-License-Identifier: Apache-2.0

package task

import (
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/anypb"
)

// call is one method with its request, as the tables below write it.
type call struct {
	name string
	do   func(*testing.T, *bench) error
}

func calls(id, execID string) map[string]call {
	list := []call{
		{"State", func(t *testing.T, b *bench) error {
			_, err := b.State(t.Context(), &taskapi.StateRequest{ID: id, ExecID: execID})
			return err
		}},
		{"Start", func(t *testing.T, b *bench) error {
			_, err := b.Start(t.Context(), &taskapi.StartRequest{ID: id, ExecID: execID})
			return err
		}},
		{"Delete", func(t *testing.T, b *bench) error {
			_, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: id, ExecID: execID})
			return err
		}},
		{"Kill", func(t *testing.T, b *bench) error {
			_, err := b.Kill(t.Context(), &taskapi.KillRequest{ID: id, ExecID: execID, Signal: 10})
			return err
		}},
		{"ResizePty", func(t *testing.T, b *bench) error {
			_, err := b.ResizePty(t.Context(), &taskapi.ResizePtyRequest{ID: id, ExecID: execID})
			return err
		}},
		{"CloseIO", func(t *testing.T, b *bench) error {
			_, err := b.CloseIO(t.Context(), &taskapi.CloseIORequest{ID: id, ExecID: execID, Stdin: true})
			return err
		}},
		{"Exec", func(t *testing.T, b *bench) error {
			_, err := b.Exec(t.Context(), &taskapi.ExecProcessRequest{ID: id, ExecID: "new", Spec: typed(t, "Process", specs.Process{})})
			return err
		}},
		{"Pause", func(t *testing.T, b *bench) error {
			_, err := b.Pause(t.Context(), &taskapi.PauseRequest{ID: id})
			return err
		}},
		{"Resume", func(t *testing.T, b *bench) error {
			_, err := b.Resume(t.Context(), &taskapi.ResumeRequest{ID: id})
			return err
		}},
		{"Update", func(t *testing.T, b *bench) error {
			_, err := b.Update(t.Context(), &taskapi.UpdateTaskRequest{ID: id, Resources: typed(t, "LinuxResources", specs.LinuxResources{})})
			return err
		}},
		{"Checkpoint", func(t *testing.T, b *bench) error {
			_, err := b.Checkpoint(t.Context(), &taskapi.CheckpointTaskRequest{ID: id})
			return err
		}},
		{"Create", func(t *testing.T, b *bench) error {
			_, err := b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: id, Bundle: b.bundle(t, id, nil)})
			return err
		}},
	}
	byName := map[string]call{}
	for _, c := range list {
		byName[c.name] = c
	}
	return byName
}

// reach brings container "c", with an exec "e" where one is possible, into a
// state.
func reach(t *testing.T, state string) *bench {
	t.Helper()
	b := newBench(t)
	if state == "none" {
		return b
	}
	b.mustCreate(t, "c", nil)
	if state == "created" {
		return b
	}
	b.mustStart(t, "c", "")
	if state == "exec created" || state == "exec stopped" {
		b.mustExec(t, &taskapi.ExecProcessRequest{ID: "c", ExecID: "e"})
	}
	switch state {
	case "paused":
		if _, err := b.Pause(t.Context(), &taskapi.PauseRequest{ID: "c"}); err != nil {
			t.Fatal(err)
		}
	case "stopped":
		b.vm().container("c").init.exit(0)
		b.wait(t, "c", "")
	case "exec stopped":
		b.mustStart(t, "c", "e")
		b.vm().container("c").exec("e").exit(0)
		b.wait(t, "c", "e")
	}
	return b
}

func TestWrongStates(t *testing.T) {
	notFound, precondition := errdefs.ErrNotFound, errdefs.ErrFailedPrecondition
	for _, test := range []struct {
		state, execID string
		want          map[string]error
	}{
		{"none", "", map[string]error{
			"State": notFound, "Start": notFound, "Delete": notFound, "Kill": notFound, "ResizePty": notFound, "CloseIO": notFound,
			"Exec": notFound, "Pause": notFound, "Resume": notFound, "Update": notFound, "Checkpoint": errdefs.ErrNotImplemented, "Create": nil,
		}},
		{"created", "", map[string]error{
			"State": nil, "Start": nil, "Delete": nil, "Kill": nil, "ResizePty": precondition, "CloseIO": nil, "Exec": precondition,
			"Pause": precondition, "Resume": precondition, "Update": nil, "Create": errdefs.ErrAlreadyExists,
		}},
		{"running", "", map[string]error{
			"State": nil, "Start": precondition, "Delete": precondition, "Kill": nil, "CloseIO": nil, "Exec": nil,
			"Pause": nil, "Resume": precondition, "Update": nil, "Create": errdefs.ErrAlreadyExists,
		}},
		{"paused", "", map[string]error{
			"State": nil, "Start": precondition, "Delete": precondition, "Kill": nil, "Exec": precondition,
			"Pause": precondition, "Resume": nil, "Update": nil,
		}},
		{"stopped", "", map[string]error{
			"State": nil, "Start": precondition, "Delete": nil, "Kill": notFound, "CloseIO": nil, "Exec": precondition,
			"Pause": precondition, "Resume": precondition, "Update": precondition,
		}},
		{"running", "unknown", map[string]error{
			"State": notFound, "Start": notFound, "Delete": notFound, "Kill": notFound, "ResizePty": notFound, "CloseIO": notFound,
		}},
		{"exec created", "e", map[string]error{"State": nil, "Start": nil, "Delete": nil, "Kill": precondition, "CloseIO": nil}},
		{"exec stopped", "e", map[string]error{"State": nil, "Start": precondition, "Delete": nil, "Kill": notFound, "CloseIO": nil}},
	} {
		for name, want := range test.want {
			t.Run(test.state+"/"+test.execID+"/"+name, func(t *testing.T) {
				b := reach(t, test.state)
				is(t, name, calls("c", test.execID)[name].do(t, b), want)
			})
		}
	}
}

func TestBadRequests(t *testing.T) {
	b := newBench(t)
	_, err := b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "c", Bundle: b.bundle(t, "c", nil), Checkpoint: "/x"})
	// Not "not implemented": containerd would try an older Task API.
	is(t, "Create from a checkpoint", err, errdefs.ErrFailedPrecondition)
	_, err = b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "c", Bundle: b.bundle(t, "c", asMember("pod"))})
	is(t, "Create of a member without a pod", err, errdefs.ErrFailedPrecondition)
	_, err = b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "c", Bundle: b.bundle(t, "c", map[string]string{"io.kubernetes.cri.container-type": "odd"})})
	is(t, "Create of an unknown type", err, errdefs.ErrInvalidArgument)
	b.mustCreate(t, "pod", asSandbox("pod"))
	_, err = b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "c", Bundle: b.bundle(t, "c", asMember("other"))})
	is(t, "Create of another pod's member", err, errdefs.ErrFailedPrecondition)
	_, err = b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "d", Bundle: b.bundle(t, "d", nil)})
	is(t, "Create of a second pod", err, errdefs.ErrAlreadyExists)
	b.mustStart(t, "pod", "")
	for name, spec := range map[string]*anypb.Any{
		"none": nil, "another type": {TypeUrl: "x/LinuxResources", Value: []byte("{}")}, "not JSON": {TypeUrl: "x/Process", Value: []byte("{")},
	} {
		_, err = b.Exec(t.Context(), &taskapi.ExecProcessRequest{ID: "pod", ExecID: "e", Spec: spec})
		is(t, "Exec with a spec that is "+name, err, errdefs.ErrInvalidArgument)
	}
	b.mustExec(t, &taskapi.ExecProcessRequest{ID: "pod", ExecID: "e"})
	_, err = b.Exec(t.Context(), &taskapi.ExecProcessRequest{ID: "pod", ExecID: "e", Spec: typed(t, "Process", specs.Process{})})
	is(t, "Exec of an id that is taken", err, errdefs.ErrAlreadyExists)
	_, err = b.Exec(t.Context(), &taskapi.ExecProcessRequest{ID: "pod", Spec: typed(t, "Process", specs.Process{})})
	is(t, "Exec without an id", err, errdefs.ErrInvalidArgument)
}

func TestTheHostsNetworkIsRefused(t *testing.T) {
	b := newBench(t)
	bundle := b.bundle(t, "c", nil)
	rewriteSpec(t, bundle, func(s *specs.Spec) { s.Linux.Namespaces = nil })
	_, err := b.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "c", Bundle: bundle})
	is(t, "Create on the host's network", err, errdefs.ErrFailedPrecondition)
}

func TestAnExecThatNeverRanHasNoExit(t *testing.T) {
	b := reach(t, "exec created")
	_, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: "c", ExecID: "e"})
	is(t, "Delete", err, nil)
	b.expectEvents(t, "TaskCreate", "TaskStart", "TaskExecAdded")
}

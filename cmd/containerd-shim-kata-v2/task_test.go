// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// taskClient calls either version of the Task service; the messages of both are
// the same on the wire.
type taskClient struct {
	t      *testing.T
	client *ttrpc.Client
	bundle string
	config string
}

func (c taskClient) call(version, method string, req, resp proto.Message) error {
	return errgrpc.ToNative(c.client.Call(within(c.t), "containerd.task."+version+".Task", method, req, resp))
}

// must makes a call by version 3 that has to succeed.
func (c taskClient) must(method string, req, resp proto.Message) {
	c.t.Helper()
	if err := c.call("v3", method, req, resp); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
}

func typedJSON(t *testing.T, name string, v any) *anypb.Any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/" + name, Value: text}
}

func sleeper() specs.Process {
	return specs.Process{Args: []string{"/bin/busybox", "sleep", "1000"}, Cwd: "/"}
}

// requests are those of every call about a container, and the answer's type.
func (c taskClient) requests(id string) map[string][2]proto.Message {
	none := &emptypb.Empty{}
	limit := int64(64 << 20)
	return map[string][2]proto.Message{
		"State":      {&taskapi.StateRequest{ID: id}, &taskapi.StateResponse{}},
		"Create":     {&taskapi.CreateTaskRequest{ID: id, Bundle: c.bundle}, &taskapi.CreateTaskResponse{}},
		"Start":      {&taskapi.StartRequest{ID: id}, &taskapi.StartResponse{}},
		"Delete":     {&taskapi.DeleteRequest{ID: id}, &taskapi.DeleteResponse{}},
		"Pids":       {&taskapi.PidsRequest{ID: id}, &taskapi.PidsResponse{}},
		"Pause":      {&taskapi.PauseRequest{ID: id}, none},
		"Resume":     {&taskapi.ResumeRequest{ID: id}, none},
		"Checkpoint": {&taskapi.CheckpointTaskRequest{ID: id}, none},
		"Kill":       {&taskapi.KillRequest{ID: id, Signal: uint32(unix.SIGCONT)}, none},
		"Exec":       {&taskapi.ExecProcessRequest{ID: id, ExecID: "taken", Spec: typedJSON(c.t, "Process", sleeper())}, none},
		"ResizePty":  {&taskapi.ResizePtyRequest{ID: id, Width: 80, Height: 25}, none},
		"CloseIO":    {&taskapi.CloseIORequest{ID: id, Stdin: true}, none},
		"Update":     {&taskapi.UpdateTaskRequest{ID: id, Resources: typedJSON(c.t, "LinuxResources", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}})}, none},
		"Wait":       {&taskapi.WaitRequest{ID: id}, &taskapi.WaitResponse{}},
		"Stats":      {&taskapi.StatsRequest{ID: id}, &taskapi.StatsResponse{}},
		"Connect":    {&taskapi.ConnectRequest{ID: id}, &taskapi.ConnectResponse{}},
		"Shutdown":   {&taskapi.ShutdownRequest{ID: id}, none},
	}
}

// expect makes calls that do not change the state, by both versions, and
// compares the codes; nil is success.
func (c taskClient) expect(state, id string, want map[string]error) {
	c.t.Helper()
	for _, version := range []string{"v3", "v2"} {
		requests := c.requests(id)
		for _, method := range slices.Sorted(maps.Keys(want)) {
			err := c.call(version, method, requests[method][0], requests[method][1])
			if code := want[method]; code == nil && err != nil || code != nil && !errors.Is(err, code) {
				c.t.Errorf("%s by %s in the state %q: error %v, want %v", method, version, state, err, code)
			}
		}
	}
}

// TestTaskLife takes a container through its states and makes every call of both
// versions of the Task API in each.
func TestTaskLife(t *testing.T) {
	n := newVMNode(t)
	bundle := n.bundle(t, tasks, "c", nil)
	showLog(t, bundle)
	rootfs(t, bundle)
	n.spec(t, bundle, "/bin/busybox", "sleep", "1000")
	result := n.start(t, bundle, "c")
	server := pid(t, bundle)
	c := taskClient{t, connect(t, result.Address), bundle, n.config}
	missing, wrong, taken, never := errdefs.ErrNotFound, errdefs.ErrFailedPrecondition, errdefs.ErrAlreadyExists, errdefs.ErrNotImplemented
	unknown := map[string]error{
		"State": missing, "Start": missing, "Delete": missing, "Pids": missing, "Pause": missing, "Resume": missing, "Checkpoint": never,
		"Kill": missing, "Exec": missing, "ResizePty": missing, "CloseIO": missing, "Update": missing, "Wait": missing, "Stats": missing, "Connect": nil,
	}
	c.expect("nothing", "c", unknown)
	c.must("Create", &taskapi.CreateTaskRequest{
		ID: "c", Bundle: bundle,
		Options: &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: encode(t, &runtimeoptions.Options{ConfigPath: n.config})},
	}, &taskapi.CreateTaskResponse{})
	c.expect("created", "c", map[string]error{
		"State": nil, "Create": taken, "Pids": nil, "Pause": wrong, "Resume": wrong, "Checkpoint": never, "Exec": wrong,
		"ResizePty": wrong, "CloseIO": nil, "Update": nil, "Stats": nil, "Connect": nil, "Shutdown": nil,
	})
	c.expect("created, another", "other", unknown)
	c.must("Start", &taskapi.StartRequest{ID: "c"}, &taskapi.StartResponse{})
	c.must("Exec", &taskapi.ExecProcessRequest{ID: "c", ExecID: "taken", Spec: typedJSON(t, "Process", sleeper())}, &emptypb.Empty{})
	c.expect("running", "c", map[string]error{
		"State": nil, "Create": taken, "Start": wrong, "Delete": wrong, "Pids": nil, "Resume": wrong, "Checkpoint": never, "Kill": nil,
		"Exec": taken, "ResizePty": wrong, "CloseIO": nil, "Update": nil, "Stats": nil, "Connect": nil, "Shutdown": nil,
	})
	c.execs()
	c.must("Pause", &taskapi.PauseRequest{ID: "c"}, &emptypb.Empty{})
	c.expect("paused", "c", map[string]error{
		"State": nil, "Create": taken, "Start": wrong, "Delete": wrong, "Pids": nil, "Pause": wrong, "Checkpoint": never,
		"ResizePty": wrong, "CloseIO": nil, "Update": nil, "Stats": nil, "Connect": nil, "Shutdown": nil,
	})
	c.must("Resume", &taskapi.ResumeRequest{ID: "c"}, &emptypb.Empty{})
	c.must("Kill", &taskapi.KillRequest{ID: "c", Signal: uint32(unix.SIGKILL)}, &emptypb.Empty{})
	var waited taskapi.WaitResponse
	c.must("Wait", &taskapi.WaitRequest{ID: "c"}, &waited)
	if waited.ExitStatus != 137 || waited.ExitedAt == nil {
		t.Errorf("Wait answered %v", &waited)
	}
	c.expect("stopped", "c", map[string]error{
		"State": nil, "Create": taken, "Start": wrong, "Pids": nil, "Pause": wrong, "Resume": wrong, "Checkpoint": never, "Kill": missing,
		"ResizePty": wrong, "CloseIO": nil, "Update": wrong, "Wait": nil, "Stats": nil, "Connect": nil, "Shutdown": nil,
	})
	var deleted taskapi.DeleteResponse
	c.must("Delete", &taskapi.DeleteRequest{ID: "c"}, &deleted)
	if deleted.ExitStatus != 137 || deleted.Pid == 0 || !proto.Equal(deleted.ExitedAt, waited.ExitedAt) {
		t.Errorf("Delete answered %v", &deleted)
	}
	c.expect("deleted", "c", unknown)
	_ = c.call("v3", "Shutdown", &taskapi.ShutdownRequest{ID: "c"}, &emptypb.Empty{}) // the answer may be cut off
	gone(t, server)
	n.nothingLeft(t)
	n.delete(t, bundle, "c")
}

// execs takes an exec through its states.
func (c taskClient) execs() {
	t := c.t
	state := func(want task.Status) {
		t.Helper()
		var s taskapi.StateResponse
		c.must("State", &taskapi.StateRequest{ID: "c", ExecID: "taken"}, &s)
		if s.Status != want || s.ExecID != "taken" || s.ID != "c" || (want == task.Status_STOPPED) != (s.ExitedAt != nil) {
			t.Errorf("State of an exec answered %v, want %s", &s, want)
		}
	}
	refused := func(what, method string, req proto.Message, want error) {
		t.Helper()
		if err := c.call("v3", method, req, &emptypb.Empty{}); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", what, err, want)
		}
	}
	state(task.Status_CREATED)
	kill := &taskapi.KillRequest{ID: "c", ExecID: "taken", Signal: uint32(unix.SIGTERM)}
	refused("Kill of an exec that was not started", "Kill", kill, errdefs.ErrFailedPrecondition)
	refused("Start of an unknown exec", "Start", &taskapi.StartRequest{ID: "c", ExecID: "unknown"}, errdefs.ErrNotFound)
	c.must("Start", &taskapi.StartRequest{ID: "c", ExecID: "taken"}, &taskapi.StartResponse{})
	state(task.Status_RUNNING)
	refused("second Start of an exec", "Start", &taskapi.StartRequest{ID: "c", ExecID: "taken"}, errdefs.ErrFailedPrecondition)
	refused("Delete of an exec that runs", "Delete", &taskapi.DeleteRequest{ID: "c", ExecID: "taken"}, errdefs.ErrFailedPrecondition)
	c.must("Kill", kill, &emptypb.Empty{})
	var waited taskapi.WaitResponse
	c.must("Wait", &taskapi.WaitRequest{ID: "c", ExecID: "taken"}, &waited)
	if waited.ExitStatus != 143 {
		t.Errorf("Wait for an exec answered %v", &waited)
	}
	state(task.Status_STOPPED)
	refused("Kill of an exec that has ended", "Kill", kill, errdefs.ErrNotFound)
	c.must("Delete", &taskapi.DeleteRequest{ID: "c", ExecID: "taken"}, &taskapi.DeleteResponse{})
	refused("State of an exec that was deleted", "State", &taskapi.StateRequest{ID: "c", ExecID: "taken"}, errdefs.ErrNotFound)
}

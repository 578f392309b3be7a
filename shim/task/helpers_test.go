// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/anypb"
)

// patience is longer than any step of these tests takes.
const patience = time.Minute

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

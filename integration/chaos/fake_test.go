// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fakeEngine answers what a test says.
type fakeEngine struct {
	cri.RuntimeServiceClient
	container    func() (*cri.ContainerStatus, error)
	pod          cri.PodSandboxState
	exec         func() (*cri.ExecSyncResponse, error)
	stop, remove func(call int) error

	stops, removals int
}

var errFake = errors.New("the engine says no")

func (f *fakeEngine) ContainerStatus(context.Context, *cri.ContainerStatusRequest, ...grpc.CallOption) (*cri.ContainerStatusResponse, error) {
	status, err := f.container()
	return &cri.ContainerStatusResponse{Status: status}, err
}

func (f *fakeEngine) PodSandboxStatus(context.Context, *cri.PodSandboxStatusRequest, ...grpc.CallOption) (*cri.PodSandboxStatusResponse, error) {
	return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{State: f.pod}}, nil
}

func (f *fakeEngine) ExecSync(context.Context, *cri.ExecSyncRequest, ...grpc.CallOption) (*cri.ExecSyncResponse, error) {
	return f.exec()
}

func (f *fakeEngine) ListPodSandbox(context.Context, *cri.ListPodSandboxRequest, ...grpc.CallOption) (*cri.ListPodSandboxResponse, error) {
	pod := &cri.PodSandbox{Id: "pod", Metadata: &cri.PodSandboxMetadata{Name: "victim-1"}}
	return &cri.ListPodSandboxResponse{Items: []*cri.PodSandbox{pod}}, nil
}

func (f *fakeEngine) StopPodSandbox(context.Context, *cri.StopPodSandboxRequest, ...grpc.CallOption) (*cri.StopPodSandboxResponse, error) {
	f.stops++
	return nil, f.stop(f.stops)
}

func (f *fakeEngine) RemovePodSandbox(context.Context, *cri.RemovePodSandboxRequest, ...grpc.CallOption) (*cri.RemovePodSandboxResponse, error) {
	f.removals++
	return nil, f.remove(f.removals)
}

// fakeCycle is one whose pod has two containers that run, struck now by the fault of that name.
func fakeCycle(t *testing.T, name, point string, engine *fakeEngine) *cycle {
	t.Helper()
	all := faults()
	i := slices.IndexFunc(all, func(f fault) bool { return f.name == name })
	if i < 0 {
		t.Fatalf("there is no fault %s", name)
	}
	s := &suite{owed: map[string]bool{}, stalls: &stalls{}, events: newEventLog(func() {}), log: &logTail{}, runtime: engine, reports: t.TempDir()}
	c := newCycle(s, plan{fault: all[i], point: point, handler: "kata"})
	c.pod, c.containers, c.begun, c.up = "pod", []string{"one", "two"}, 2, true
	c.strikeNow()
	c.hit.at = c.began
	close(c.hit.done)
	return c
}

// hold has the cycle's violations to be as many as the words, each with its word.
func (c *cycle) hold(t *testing.T, words ...string) {
	t.Helper()
	if len(c.wrongs) != len(words) {
		t.Errorf("%d violations, want %d: %q", len(c.wrongs), len(words), c.wrongs)
		return
	}
	for i, word := range words {
		if !strings.Contains(c.wrongs[i], word) {
			t.Errorf("the violation is %q, want %q in it", c.wrongs[i], word)
		}
	}
}

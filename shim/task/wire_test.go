// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	taskv2 "github.com/containerd/containerd/api/runtime/task/v2"
	taskv3 "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func rewriteSpec(t *testing.T, bundle string, change func(*specs.Spec)) {
	t.Helper()
	spec, err := readSpec(bundle)
	if err != nil {
		t.Fatal(err)
	}
	change(spec)
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestVersionsAreTheSameOnTheWire is why one set of methods may serve both.
func TestVersionsAreTheSameOnTheWire(t *testing.T) {
	v2, v3 := taskv2.File_runtime_task_v2_shim_proto, taskv3.File_runtime_task_v3_shim_proto
	if v2.Messages().Len() != v3.Messages().Len() {
		t.Errorf("version 2 has %d messages, version 3 has %d", v2.Messages().Len(), v3.Messages().Len())
	}
	for i := range v3.Messages().Len() {
		three := v3.Messages().Get(i)
		two := v2.Messages().ByName(three.Name())
		if two == nil {
			t.Errorf("version 2 has no %s", three.Name())
			continue
		}
		compare(t, two, three)
	}
}

func compare(t *testing.T, two, three protoreflect.MessageDescriptor) {
	t.Helper()
	if two.Fields().Len() != three.Fields().Len() {
		t.Errorf("%s has %d fields in version 2, %d in version 3", three.Name(), two.Fields().Len(), three.Fields().Len())
	}
	for i := range three.Fields().Len() {
		a := three.Fields().Get(i)
		b := two.Fields().ByNumber(a.Number())
		if b == nil || a.Name() != b.Name() || a.Kind() != b.Kind() || a.Cardinality() != b.Cardinality() || a.IsMap() != b.IsMap() {
			t.Errorf("%s: field %v of version 3 is %v in version 2", three.Name(), a, b)
			continue
		}
		if a.Message() != nil && relative(a.Message()) != relative(b.Message()) {
			t.Errorf("%s.%s is a %s in version 3, a %s in version 2", three.Name(), a.Name(), a.Message().FullName(), b.Message().FullName())
		}
	}
}

// relative is a message's name without the version of its package.
func relative(m protoreflect.MessageDescriptor) string {
	return strings.NewReplacer("task.v2.", "", "task.v3.", "").Replace(string(m.FullName()))
}

// TestMethodTable compares the table with both services' descriptors.
func TestMethodTable(t *testing.T) {
	table := newBench(t).methods()
	for _, service := range []protoreflect.ServiceDescriptor{
		taskv2.File_runtime_task_v2_shim_proto.Services().ByName("Task"),
		taskv3.File_runtime_task_v3_shim_proto.Services().ByName("Task"),
	} {
		if got := string(service.FullName()); got != serviceV2 && got != serviceV3 {
			t.Errorf("the service is called %s", got)
		}
		if service.Methods().Len() != len(table) {
			t.Errorf("%s has %d methods, the table %d", service.FullName(), service.Methods().Len(), len(table))
		}
		for i := range service.Methods().Len() {
			if name := string(service.Methods().Get(i).Name()); table[name] == nil {
				t.Errorf("the table lacks %s of %s", name, service.FullName())
			}
		}
	}
}

func TestBothVersionsOverTTRPC(t *testing.T) {
	b := newBench(t)
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.RegisterTTRPC(server); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(context.Background(), listener) }()
	t.Cleanup(func() { _ = server.Close() })
	conn, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() { _ = client.Close() })
	v2, v3 := taskv2.NewTTRPCTaskClient(client), taskv3.NewTTRPCTaskClient(client)
	created, err := v2.Create(t.Context(), &taskv2.CreateTaskRequest{ID: "c", Bundle: b.bundle(t, "c", nil)})
	if err != nil || created.Pid != fakePID {
		t.Fatalf("Create by version 2 answered %v, error %v", created, err)
	}
	if _, err := v3.Start(t.Context(), &taskv3.StartRequest{ID: "c"}); err != nil {
		t.Error(err)
	}
	_, err = v3.Checkpoint(t.Context(), &taskv3.CheckpointTaskRequest{ID: "c"})
	is(t, "Checkpoint", errgrpc.ToNative(err), errdefs.ErrNotImplemented)
	_, err = v2.Start(t.Context(), &taskv2.StartRequest{ID: "c"})
	is(t, "second Start", errgrpc.ToNative(err), errdefs.ErrFailedPrecondition)
	if err == nil || !strings.Contains(err.Error(), "cannot start container c: it is running") {
		t.Errorf("the error over the wire is %v", err)
	}
	if _, err := v2.Kill(t.Context(), &taskv2.KillRequest{ID: "c", Signal: 15}); err != nil {
		t.Error(err)
	}
	waited, err := v2.Wait(t.Context(), &taskv2.WaitRequest{ID: "c"})
	if err != nil || waited.ExitStatus != 143 {
		t.Errorf("Wait answered %v, error %v", waited, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
)

// running is a sandbox that was started.
func running(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	is(t, "CreateSandbox", b.create(t, fullConfig()), nil)
	_, err := b.UpdateSandbox(t.Context(), &sandboxpb.UpdateSandboxRequest{SandboxId: "pod"})
	is(t, "UpdateSandbox before StartSandbox", err, errdefs.ErrFailedPrecondition)
	_, err = b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "StartSandbox", err, nil)
	return b
}

func (b *bench) info(t *testing.T) map[string]string {
	t.Helper()
	status, err := b.SandboxStatus(t.Context(), &sandboxpb.SandboxStatusRequest{SandboxId: "pod", Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	return status.Info
}

// What the CRI plugin hands on has the form that it gives to a pause container's.
func TestInfoForTheCRI(t *testing.T) {
	b := running(t)
	var info criInfo
	if err := json.Unmarshal([]byte(b.info(t)["info"]), &info); err != nil {
		t.Fatal(err)
	}
	if info.PID != 4242 || info.Status != "running" || info.RuntimeSpec.Hostname != "web" || info.RuntimeSpec.Linux.Namespaces[0].Type != "network" {
		t.Errorf("info %+v", info)
	}
}

func criResourcesOf(json string) map[string]*anypb.Any {
	return map[string]*anypb.Any{
		"metadata":          {TypeUrl: "github.com/containerd/cri/pkg/store/sandbox/Metadata", Value: []byte("{}")},
		"updated-resources": {TypeUrl: "io.containerd.cri.v1/UpdatedResources", Value: []byte(json)},
	}
}

func TestUpdate(t *testing.T) {
	oci := &anypb.Any{
		TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
		Value:   []byte(`{"cpu":{"shares":77,"cpus":"1"},"memory":{"limit":4096}}`),
	}
	cri := &anypb.Any{TypeUrl: "runtime.v1.LinuxContainerResources", Value: append(integer(3, 88), text(6, "0")...)}
	extension := criResourcesOf(`{"Overhead":{"cpu_shares":1},"Resources":{"cpu_period":100000,"cpu_quota":50000,"cpu_shares":99,"memory_limit_in_bytes":8192,"cpuset_cpus":"0-1"}}`)
	labels := map[string]string{"a": "1", "b": "2"}
	for _, c := range []struct {
		name        string
		r           *sandboxpb.UpdateSandboxRequest
		want        sizing.Request
		labels, ann string
	}{
		{"nothing", &sandboxpb.UpdateSandboxRequest{}, sizing.Request{}, `{"app":"web"}`, ""},
		{"resources of OCI", &sandboxpb.UpdateSandboxRequest{Resources: oci}, sizing.Request{CPUShares: 77, Cpuset: "1", MemoryBytes: 4096}, `{"app":"web"}`, ""},
		{"resources of the CRI", &sandboxpb.UpdateSandboxRequest{Resources: cri}, sizing.Request{CPUShares: 88, Cpuset: "0"}, `{"app":"web"}`, ""},
		{"as containerd's CRI plugin does", &sandboxpb.UpdateSandboxRequest{
			Sandbox: &types.Sandbox{SandboxID: "pod", Labels: labels, Extensions: extension}, Fields: []string{"extensions"},
		}, sizing.Request{CPUPeriod: 100000, CPUQuota: 50000, CPUShares: 99, MemoryBytes: 8192, Cpuset: "0-1"}, `{"app":"web"}`, ""},
		{"all labels", &sandboxpb.UpdateSandboxRequest{Sandbox: &types.Sandbox{Labels: labels}, Fields: []string{"labels"}}, sizing.Request{}, `{"a":"1","b":"2"}`, ""},
		{"one label", &sandboxpb.UpdateSandboxRequest{Sandbox: &types.Sandbox{Labels: labels}, Fields: []string{"labels.b"}}, sizing.Request{}, `{"app":"web","b":"2"}`, ""},
		{"no mask", &sandboxpb.UpdateSandboxRequest{Sandbox: &types.Sandbox{Labels: labels, Extensions: extension}},
			sizing.Request{CPUPeriod: 100000, CPUQuota: 50000, CPUShares: 99, MemoryBytes: 8192, Cpuset: "0-1"}, `{"a":"1","b":"2"}`, ""},
		{"annotations", &sandboxpb.UpdateSandboxRequest{Annotations: map[string]string{"team": "blue", vcpus: "2"}}, sizing.Request{}, `{"app":"web"}`,
			`{"` + vcpus + `":"2","team":"blue"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := running(t)
			c.r.SandboxId = "pod"
			_, err := b.UpdateSandbox(t.Context(), c.r)
			is(t, "UpdateSandbox", err, nil)
			if len(b.vm.updated) != 1 || b.vm.updated[0] != c.want {
				t.Errorf("the pod was updated to %+v, want %+v", b.vm.updated, c.want)
			}
			if c.ann == "" {
				c.ann = `{"` + vcpus + `":"2"}`
			}
			if info := b.info(t); info["labels"] != c.labels || info["annotations"] != c.ann {
				t.Errorf("labels %s, annotations %s; want %s and %s", info["labels"], info["annotations"], c.labels, c.ann)
			}
		})
	}
}

const vcpus = "io.katacontainers.config.hypervisor.default_vcpus"

func TestUpdatesThatCannotBe(t *testing.T) {
	b := running(t)
	before := b.info(t)
	for name, c := range map[string]struct {
		r    *sandboxpb.UpdateSandboxRequest
		want error
	}{
		"another VM":          {&sandboxpb.UpdateSandboxRequest{Annotations: map[string]string{"x": "y", vcpus: "4"}}, errdefs.ErrNotImplemented},
		"another runtime":     {&sandboxpb.UpdateSandboxRequest{Fields: []string{"labels", "runtime"}}, errdefs.ErrNotImplemented},
		"another spec":        {&sandboxpb.UpdateSandboxRequest{Fields: []string{"spec"}}, errdefs.ErrNotImplemented},
		"another sandboxer":   {&sandboxpb.UpdateSandboxRequest{Fields: []string{"sandboxer"}}, errdefs.ErrNotImplemented},
		"a foreign extension": {&sandboxpb.UpdateSandboxRequest{Fields: []string{"extensions.x"}}, errdefs.ErrNotImplemented},
		"no such field":       {&sandboxpb.UpdateSandboxRequest{Fields: []string{"colour"}}, errdefs.ErrInvalidArgument},
		"two ids":             {&sandboxpb.UpdateSandboxRequest{Sandbox: &types.Sandbox{SandboxID: "other"}}, errdefs.ErrInvalidArgument},
		"unknown resources":   {&sandboxpb.UpdateSandboxRequest{Resources: &anypb.Any{TypeUrl: "x"}}, errdefs.ErrInvalidArgument},
		"broken OCI":          {&sandboxpb.UpdateSandboxRequest{Resources: &anypb.Any{TypeUrl: "x/LinuxResources", Value: []byte("{")}}, errdefs.ErrInvalidArgument},
		"broken CRI":          {&sandboxpb.UpdateSandboxRequest{Resources: &anypb.Any{TypeUrl: "runtime.v1.LinuxContainerResources", Value: []byte{0xff}}}, errdefs.ErrInvalidArgument},
		"broken extension": {&sandboxpb.UpdateSandboxRequest{
			Sandbox: &types.Sandbox{Extensions: criResourcesOf("{")}, Fields: []string{"extensions"},
		}, errdefs.ErrInvalidArgument},
		"extension of another type": {&sandboxpb.UpdateSandboxRequest{
			Sandbox: &types.Sandbox{Extensions: map[string]*anypb.Any{"updated-resources": {TypeUrl: "x"}}},
		}, errdefs.ErrInvalidArgument},
	} {
		c.r.SandboxId = "pod"
		_, err := b.UpdateSandbox(t.Context(), c.r)
		is(t, name, err, c.want)
	}
	b.vm.narrow = errdefs.ErrFailedPrecondition
	_, err := b.UpdateSandbox(t.Context(), &sandboxpb.UpdateSandboxRequest{SandboxId: "pod", Annotations: map[string]string{"x": "y"}})
	is(t, "more than the VM holds", err, errdefs.ErrFailedPrecondition)
	if after := b.info(t); after["labels"] != before["labels"] || after["annotations"] != before["annotations"] {
		t.Errorf("a refused update changed %v to %v", before, after)
	}
}

// What the pod was created with stays as it was.
func TestASecondCreateTouchesNothing(t *testing.T) {
	b := newBench(t)
	is(t, "CreateSandbox", b.create(t, fullConfig()), nil)
	is(t, "a second CreateSandbox", b.create(t, podSandboxConfig(text(2, "other"))), errdefs.ErrAlreadyExists)
	is(t, "a second CreateSandbox of another type", b.create(t, &anypb.Any{TypeUrl: "x"}), errdefs.ErrAlreadyExists)
	if name, err := os.ReadFile(filepath.Join(b.bundle, "hostname")); err != nil || string(name) != "web\n" {
		t.Errorf("the pod's hostname is %q, error %v", name, err)
	}
}

func FuzzUpdate(f *testing.F) {
	full := &sandboxpb.UpdateSandboxRequest{
		SandboxId: "pod", Annotations: map[string]string{"a": "b"}, Fields: []string{"labels.x", "extensions"},
		Sandbox: &types.Sandbox{SandboxID: "pod", Extensions: criResourcesOf(`{"Resources":{"cpu_shares":2}}`)},
	}
	for _, r := range []*sandboxpb.UpdateSandboxRequest{full, {Resources: &anypb.Any{TypeUrl: "runtime.v1.LinuxContainerResources", Value: integer(3, 9)}}} {
		seed, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var r sandboxpb.UpdateSandboxRequest
		if proto.Unmarshal(message, &r) != nil {
			return
		}
		before := said{labels: map[string]string{"app": "web"}}
		if _, err := readChange(&r, before); err != nil && !errdefs.IsInvalidArgument(err) && !errdefs.IsNotImplemented(err) {
			t.Errorf("error %v", err)
		}
		if len(before.labels) != 1 || before.labels["app"] != "web" {
			t.Errorf("what was said before became %v", before.labels)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/katapod/katapod/protocols/agentpb"
)

// refusedFields are the messages of the wire that a Linux guest refuses.
func refusedFields() map[protoreflect.FullName]bool {
	return map[protoreflect.FullName]bool{"grpc.Spec.Solaris": true, "grpc.Spec.Windows": true}
}

// fill sets every field of m, down to the leaves, to a value that depends on
// seed, but for the refused ones.
func fill(t *testing.T, m protoreflect.Message, seed uint64) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if refusedFields()[f.FullName()] {
			continue
		}
		switch {
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("key").MapKey(), leaf(t, f.MapValue(), seed))
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			e := m.Mutable(f).List().NewElement()
			fill(t, e.Message(), seed)
			m.Mutable(f).List().Append(e)
		case f.IsList():
			m.Mutable(f).List().Append(leaf(t, f, seed))
		case f.Kind() == protoreflect.MessageKind:
			fill(t, m.Mutable(f).Message(), seed)
		default:
			m.Set(f, leaf(t, f, seed))
		}
	}
}

func leaf(t *testing.T, f protoreflect.FieldDescriptor, seed uint64) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("text" + string(rune('a'+seed)))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(seed%2 == 1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(100 + seed))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(100 + seed)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(100 + seed))
	}
	t.Fatalf("a kind of field that this test does not know: %v", f.Kind())
	return protoreflect.Value{}
}

// leaves calls visit for every leaf of a filled message, with a function that
// changes only it.
func leaves(t *testing.T, m protoreflect.Message, path string, visit func(path string, change func())) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := path + "." + string(f.Name())
		switch {
		case refusedFields()[f.FullName()]:
		case f.IsMap():
			visit(name, func() {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString("key").MapKey(), leaf(t, f.MapValue(), 2))
			})
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			leaves(t, m.Mutable(f).List().Get(0).Message(), name, visit)
		case f.IsList():
			visit(name, func() { m.Mutable(f).List().Set(0, leaf(t, f, 2)) })
		case f.Kind() == protoreflect.MessageKind:
			leaves(t, m.Mutable(f).Message(), name, visit)
		default:
			visit(name, func() { m.Set(f, leaf(t, f, 2)) })
		}
	}
}

func encode(t *testing.T, in *agentpb.Spec) string {
	t.Helper()
	out, err := Container(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEveryFieldArrives changes each field of the wire by itself and sees
// whether the bundle's configuration changes.
func TestEveryFieldArrives(t *testing.T) {
	full := &agentpb.Spec{}
	fill(t, full.ProtoReflect(), 1)
	before := encode(t, full)
	n := 0
	var paths []string
	leaves(t, full.ProtoReflect(), "Spec", func(path string, _ func()) { paths = append(paths, path) })
	for _, wanted := range paths {
		one := proto.Clone(full).(*agentpb.Spec)
		leaves(t, one.ProtoReflect(), "Spec", func(path string, change func()) {
			if path == wanted {
				change()
				n++
			}
		})
		if encode(t, one) == before {
			t.Errorf("%s is lost", wanted)
		}
	}
	if n < 100 {
		t.Errorf("only %d fields were looked at", n)
	}
}

func TestRefusedSpecifications(t *testing.T) {
	process := &agentpb.Process{Args: []string{"true"}}
	root := &agentpb.Root{Path: "/"}
	for name, spec := range map[string]*agentpb.Spec{
		"none":           nil,
		"no process":     {Root: root},
		"no arguments":   {Root: root, Process: &agentpb.Process{}},
		"no root":        {Process: process},
		"another system": {Root: root, Process: process, Windows: &agentpb.Windows{}},
	} {
		if _, err := Container(spec, nil); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAbsentNumbers(t *testing.T) {
	spec, err := Container(&agentpb.Spec{
		Root: &agentpb.Root{Path: "/"}, Process: &agentpb.Process{Args: []string{"true"}},
		Linux: &agentpb.Linux{
			Resources: &agentpb.LinuxResources{
				Memory: &agentpb.LinuxMemory{}, CPU: &agentpb.LinuxCPU{Quota: -1}, Pids: &agentpb.LinuxPids{},
				Devices: []*agentpb.LinuxDeviceCgroup{{Access: "rwm"}}, BlockIO: &agentpb.LinuxBlockIO{Weight: 1 << 20},
			},
			Seccomp: &agentpb.LinuxSeccomp{Syscalls: []*agentpb.LinuxSyscall{
				{Names: []string{"a"}}, {Names: []string{"b"}, ErrnoRet: &agentpb.LinuxSyscall_Errnoret{}},
			}},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := spec.Linux.Resources
	switch {
	case r.Memory.Limit != nil || r.Memory.Swappiness != nil || r.CPU.Shares != nil:
		t.Error("absent limits are set")
	case *r.CPU.Quota != -1:
		t.Error("no CPU limit is not -1")
	case r.Pids != nil:
		t.Error("no limit of processes is set")
	case *r.Devices[0].Major != -1 || *r.Devices[0].Minor != -1:
		t.Error("a rule for all devices is for device 0")
	case *r.BlockIO.Weight != 1<<16-1:
		t.Error("too large a weight overflows")
	case spec.Process.OOMScoreAdj == nil || *spec.Process.OOMScoreAdj != 0:
		t.Error("the process would inherit the agent's protection")
	case spec.Linux.Seccomp.Syscalls[0].ErrnoRet != nil || *spec.Linux.Seccomp.Syscalls[1].ErrnoRet != 0:
		t.Error("absent errno and errno 0 are the same")
	}
}

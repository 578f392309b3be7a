// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
)

// TestNothingIsLostOnTheWire sets each field that the guest's form shows: the
// protocol's message shows it too, or the field is refused by name.
func TestNothingIsLostOnTheWire(t *testing.T) {
	base := guestForm(t, valid(), env())
	refused := 0
	for _, l := range specLeaves() {
		if !covers(Applied(), l.path) {
			continue
		}
		in := valid()
		set(reflect.ValueOf(in), l.names)
		guest, err := ToGuest(in, env())
		if err != nil {
			continue // judged by the tests of the guest's form, like what this one does not show
		}
		empty := base
		if l.names[0] == "Linux" && len(l.names) > 3 {
			// A section without the field: an empty one shows by itself.
			empty = guestForm(t, withZero(l), env())
		}
		if reflect.DeepEqual(guest, empty) {
			continue
		}
		got, err := ToWire(guest)
		if errdefs.IsNotImplemented(err) && namesField(err, l) {
			refused++
			continue
		}
		if err != nil {
			t.Errorf("%s is set: %v", l.path, err)
			continue
		}
		if bare, err := ToWire(empty); err != nil || proto.Equal(got, bare) {
			t.Errorf("%s is set: the wire does not show it, error %v", l.path, err)
		}
	}
	if refused < 10 {
		t.Errorf("%d fields are refused: the agent's protocol lacks more", refused)
	}
}

// withZero sets a field and takes its value back, so that the sections around it
// are there.
func withZero(l leaf) *specs.Spec {
	in := valid()
	set(reflect.ValueOf(in), l.names)
	v := reflect.ValueOf(in).Elem()
	for _, name := range l.names[:len(l.names)-1] {
		for v = v.FieldByName(name); v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice; {
			if v.Kind() == reflect.Pointer {
				v = v.Elem()
			} else {
				v = v.Index(0)
			}
		}
		if v.Kind() == reflect.Map {
			return in
		}
	}
	v.FieldByName(l.names[len(l.names)-1]).SetZero()
	return in
}

func TestDefaultErrorOfSeccomp(t *testing.T) {
	for code, onWire := range map[uint]bool{1: true, 38: false} {
		in := valid()
		in.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &code}
		guest := guestForm(t, in, env())
		if got := guest.Linux.Seccomp.DefaultErrnoRet; got == nil || *got != code {
			t.Errorf("error %d: the guest gets %v", code, got)
		}
		_, err := ToWire(guest)
		if onWire && err != nil || !onWire && (!errdefs.IsNotImplemented(err) || !strings.Contains(err.Error(), "defaultErrnoRet")) {
			t.Errorf("error %d on the wire: %v", code, err)
		}
	}
}

func TestUnified(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		is               func(error) bool
		kept             bool
	}{
		{name: "memory", file: "memory.high", text: "1000", kept: true},
		{name: "CPUs that are there", file: "cpuset.cpus", text: "0-1", kept: true},
		{name: "CPUs of the host", file: "cpuset.cpus", text: "0-7"},
		{name: "nodes of the host", file: "cpuset.mems", text: "1"},
		{name: "swap, which the guest lacks", file: "memory.swap.max", text: "0"},
		{name: "weight of all disks", file: "io.weight", text: "default 100", kept: true},
		{name: "a disk of the host", file: "io.max", text: "8:0 rbps=1", is: errdefs.IsNotImplemented},
		{name: "a path", file: "../cgroup.procs", text: "1", is: errdefs.IsInvalidArgument},
		{name: "no name", text: "1", is: errdefs.IsInvalidArgument},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := ResourcesToGuest(&specs.LinuxResources{Unified: map[string]string{c.file: c.text}}, 2)
			if c.is != nil {
				if err == nil || !c.is(err) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || (out.Unified[c.file] == c.text) != c.kept {
				t.Errorf("got %v, error %v", out.Unified, err)
			}
		})
	}
}

func TestAffinity(t *testing.T) {
	for _, c := range []struct{ in, want *specs.CPUAffinity }{
		{nil, nil},
		{&specs.CPUAffinity{Initial: "0", Final: "0-1"}, &specs.CPUAffinity{Initial: "0", Final: "0-1"}},
		{&specs.CPUAffinity{Initial: "0", Final: "7"}, &specs.CPUAffinity{Initial: "0"}},
		{&specs.CPUAffinity{Initial: "6", Final: "7"}, nil},
	} {
		p, err := ProcessToGuest(&specs.Process{Args: []string{"x"}, ExecCPUAffinity: c.in}, 2)
		if err != nil || !reflect.DeepEqual(p.ExecCPUAffinity, c.want) {
			t.Errorf("%+v becomes %+v, error %v", c.in, p.ExecCPUAffinity, err)
		}
	}
}

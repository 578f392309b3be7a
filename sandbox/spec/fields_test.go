// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// leaf is a field of specs.Spec that has no fields itself.
type leaf struct {
	path string
	// names lead to it, for set.
	names []string
}

// leaves lists all fields of t, depth first.
func leaves(t reflect.Type, names []string) []leaf {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return leaves(t.Elem(), names)
	case reflect.Map:
		return leaves(t.Elem(), names)
	case reflect.Struct:
		var all []leaf
		for f := range t.Fields() {
			if f.Anonymous {
				all = append(all, leaves(f.Type, names)...)
				continue
			}
			all = append(all, leaves(f.Type, append(slices.Clone(names), f.Name))...)
		}
		return all
	}
	return []leaf{{path: strings.Join(names, "."), names: names}}
}

func specLeaves() []leaf { return leaves(reflect.TypeFor[specs.Spec](), nil) }

func covers(list []string, path string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		return entry == path || strings.HasPrefix(path, entry+".")
	})
}

func TestEveryFieldIsInExactlyOneList(t *testing.T) {
	for _, l := range specLeaves() {
		in := 0
		for _, list := range [][]string{Applied(), Refused(), NoOp()} {
			if covers(list, l.path) {
				in++
			}
		}
		if in != 1 {
			t.Errorf("field %s of the OCI specification is in %d of the lists Applied, Refused and NoOp, not in one", l.path, in)
		}
	}
}

func TestEveryEntryIsAField(t *testing.T) {
	all := specLeaves()
	for _, entry := range slices.Concat(Applied(), Refused(), NoOp()) {
		if !slices.ContainsFunc(all, func(l leaf) bool { return covers([]string{entry}, l.path) }) {
			t.Errorf("%s is no field of the OCI specification", entry)
		}
	}
}

// set writes a value that is not the zero one to the field that names lead to,
// making what is on the way. Lists get their first element changed.
func set(v reflect.Value, names []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		set(v.Elem(), names)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		set(v.Index(0), names)
	case reflect.Map:
		elem := reflect.New(v.Type().Elem()).Elem()
		set(elem, names)
		m := reflect.MakeMap(v.Type())
		m.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), elem)
		v.Set(m)
	case reflect.Struct:
		set(v.FieldByName(names[0]), names[1:])
	case reflect.String:
		v.SetString("set")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf("set"))
	default:
		v.Set(reflect.ValueOf(7).Convert(v.Type()))
	}
}

func TestRefusedFieldsRefuse(t *testing.T) {
	for _, l := range specLeaves() {
		if !covers(Refused(), l.path) {
			continue
		}
		in := valid()
		set(reflect.ValueOf(in), l.names)
		_, err := ToGuest(in, env())
		if !errdefs.IsNotImplemented(err) {
			t.Errorf("%s is set: error %v, want one of kind not implemented", l.path, err)
			continue
		}
		if !namesField(err, l) {
			t.Errorf("%s is set: error %q does not name it", l.path, err)
		}
	}
}

// namesField tells whether the error has a part of the field's path in it.
func namesField(err error, l leaf) bool {
	return slices.ContainsFunc(l.names, func(name string) bool {
		return name != "Linux" && name != "Process" && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(name))
	})
}

func TestNoOpFieldsChangeNothing(t *testing.T) {
	limited := func() *specs.Spec {
		in := valid()
		in.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{}}
		return in
	}
	want := guestForm(t, limited(), env())
	for _, l := range specLeaves() {
		if !covers(NoOp(), l.path) {
			continue
		}
		in := limited()
		set(reflect.ValueOf(in), l.names)
		if got := guestForm(t, in, env()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is set: the guest's form differs", l.path)
		}
	}
}

// elsewhere are applied fields that the guest's form does not show, and why.
var elsewhere = map[string]string{
	"Root.Path":                "the storage plan places the root",
	"Mounts":                   "the storage plan places mounts",
	"Linux.CgroupsPath":        "it places the pod's cgroup on the host",
	"Linux.Namespaces":         "paths are the host's, types are checked by the table of namespaces",
	"Linux.Devices":            "a device of the host is refused, the others are checked by the table of devices",
	"Hooks":                    "they run on the host; startContainer is checked by the table of hooks",
	"Linux.Resources.CPU.Cpus": "7 CPUs do not fit; checked by the table of cpusets",
	"Linux.Resources.CPU.Mems": "node 7 does not fit; checked by the table of cpusets",
	"Linux.Resources.HugepageLimits.Pagesize": "a limit of 0 is left out",
	"Process.ExecCPUAffinity":                 "\"set\" is no list of CPUs; checked by the table of affinities",
}

func TestAppliedFieldsShow(t *testing.T) {
	var others []string
	for path := range elsewhere {
		others = append(others, path)
	}
	base, err := ToGuest(valid(), env())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range specLeaves() {
		if !covers(Applied(), l.path) || covers(others, l.path) {
			continue
		}
		in := valid()
		set(reflect.ValueOf(in), l.names)
		got, err := ToGuest(in, env())
		if err != nil {
			t.Errorf("%s is set: %v", l.path, err)
			continue
		}
		if reflect.DeepEqual(got, base) {
			t.Errorf("%s is set: the guest's form does not show it", l.path)
		}
	}
}

func ExampleRefused() {
	in := valid()
	in.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "guaranteed"}
	_, err := ToGuest(in, env())
	fmt.Println(err)
	// Output:
	// OCI spec of container c1: linux.intelRdt cannot be honoured: cache and bandwidth allocation belong to the host; remove it: not implemented
}

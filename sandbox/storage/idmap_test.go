// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"reflect"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func ids(first uint32) []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: first, Size: 1000}}
}

func TestMappedMountsOfASpec(t *testing.T) {
	container := &specs.Linux{UIDMappings: ids(7000), GIDMappings: ids(8000)}
	for _, c := range []struct {
		name string
		in   specs.Mount
		want Mount
	}{
		{"none", specs.Mount{Options: []string{"rbind"}}, Mount{Options: []string{"rbind"}}},
		{"its own", specs.Mount{UIDMappings: ids(1), GIDMappings: ids(2)}, Mount{IDMap: IDMap{UIDs: ids(1), GIDs: ids(2)}}},
		{"the container's", specs.Mount{Options: []string{"rbind", "idmap"}}, Mount{Options: []string{"rbind"}, IDMap: IDMap{UIDs: ids(7000), GIDs: ids(8000)}}},
		{
			"its own, and below", specs.Mount{Options: []string{"ridmap", "ro"}, UIDMappings: ids(1), GIDMappings: ids(2)},
			Mount{Options: []string{"ro"}, IDMap: IDMap{UIDs: ids(1), GIDs: ids(2), Recursive: true}},
		},
	} {
		before := slices.Clone(c.in.Options)
		if got := FromSpec(c.in, container); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
		if !slices.Equal(before, c.in.Options) {
			t.Errorf("%s: the spec's options became %q", c.name, c.in.Options)
		}
	}
}

// TestWhoMapsIDs: the host does for what it shares or copies, the guest for what
// it mounts itself.
func TestWhoMapsIDs(t *testing.T) {
	m := IDMap{UIDs: ids(1), GIDs: ids(2)}
	mapped := func(source, destination string) Mount {
		b := bindOf(source, destination)
		b.IDMap = m
		return b
	}
	plan, err := PlanMounts("c1", []Mount{mapped("/data", "/vol"), mapped(memory, "/cache"), mapped("/dev/null", "/null")}, facts(), all)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Shares) != 1 || !reflect.DeepEqual(plan.Shares[0].IDMap, m) {
		t.Errorf("shares are %+v", plan.Shares)
	}
	for i, inGuest := range []bool{false, true, false} {
		if got := plan.Mounts[i].IDMap; got.IsZero() == inGuest {
			t.Errorf("the guest maps the ids of %s by %v", plan.Mounts[i].Destination, got)
		}
	}
	plan, err = PlanMounts("c1", []Mount{mapped("/etc/hosts", "/etc/hosts")}, facts(), Capabilities{})
	if err != nil || len(plan.Copies) != 1 || !reflect.DeepEqual(plan.Copies[0].IDMap, m) || !plan.Mounts[0].IDMap.IsZero() {
		t.Errorf("copies are %+v, error %v", plan.Copies, err)
	}
}

func TestMapsThatAreRefused(t *testing.T) {
	for name, m := range map[string]Mount{
		"a file system": {Type: "tmpfs", Source: "tmpfs", Destination: "/t", IDMap: IDMap{UIDs: ids(1), GIDs: ids(1)}},
		"users alone":   {Type: "bind", Source: "/data", Destination: "/d", IDMap: IDMap{UIDs: ids(1)}},
	} {
		if _, err := PlanMounts("c1", []Mount{m}, facts(), all); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestOwner(t *testing.T) {
	m := IDMap{UIDs: ids(5000), GIDs: ids(6000)}
	for _, c := range []struct{ uid, gid, wantUID, wantGID uint32 }{
		{0, 0, 5000, 6000}, {7, 8, 5007, 6008}, {999, 1000, 5999, 65534},
	} {
		if uid, gid := m.Owner(c.uid, c.gid); uid != c.wantUID || gid != c.wantGID {
			t.Errorf("%d:%d becomes %d:%d", c.uid, c.gid, uid, gid)
		}
	}
	if uid, gid := (IDMap{}).Owner(3, 4); uid != 3 || gid != 4 {
		t.Errorf("without a map 3:4 becomes %d:%d", uid, gid)
	}
	if got := m.String(); got != "0:5000:1000/0:6000:1000" {
		t.Errorf("written as %q", got)
	}
}

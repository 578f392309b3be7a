// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
)

// FuzzPlan plans hostile mounts and roots. Every input gives a plan or an error
// of a known class; the same input the same plan; and what a plan says can be
// done: its places are below the directories that are the sandbox's, no two of
// them are one, and no path of the host that was not mapped is among them.
func FuzzPlan(f *testing.F) {
	for _, seed := range []struct {
		cid, mounts, rootfs string
		caps                byte
	}{
		{"c1", `[]`, `[]`, 3},
		{"c1", `[{"Type":"bind","Source":"/data","Destination":"/d","Options":["rbind","ro"]},{"Type":"bind","Source":"/etc/hosts","Destination":"/d"}]`, `[]`, 3},
		{"c1", `[{"Type":"proc","Source":"/data","Destination":"/proc","Options":["rbind"]}]`, `[]`, 3},
		{"c1", `[{"Type":"ext4","Source":"/dev/sda","Destination":"/v","Options":["ro","noatime"]}]`, `[{"Type":"erofs","Source":"/l0","Options":["ro","loop"]},{"Type":"mkfs/ext4","Source":"/rw","Options":["X-containerd.mkfs.size=4096","X-containerd.mkfs.fs=ext4"]},{"Type":"format/mkdir/overlay","Options":["lowerdir={{ mount 0 }}","upperdir={{ mount 1 }}/upper","workdir={{ mount 1 }}/work"]}]`, 3},
		{"c1", `[{"Type":"bind","Source":"/data\u0000","Destination":"/d\u0000"}]`, `[{"Type":"overlay","Options":["lowerdir=/a:/b"]}]`, 3},
		{"c1", `[{"Type":"bind","Source":"/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/p1/hosts","Destination":"/etc/hosts"},{"Type":"bind","Source":"/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/p1/hosts","Destination":"/h"}]`, `[]`, 0},
		{"..", `[]`, `[{"Type":"format/bind","Source":"{{ overlay 0 9 }}"},{"Type":"format/bind","Source":"{{ mount 0 }}/../../../etc"}]`, 3},
	} {
		f.Add(seed.cid, []byte(seed.mounts), []byte(seed.rootfs), seed.caps)
	}
	f.Fuzz(func(t *testing.T, cid string, mounts, rootfs []byte, bits byte) {
		var in, root []Mount
		if json.Unmarshal(mounts, &in) != nil || json.Unmarshal(rootfs, &root) != nil {
			return
		}
		caps := Capabilities{SharedFS: bits&1 != 0, DiskHotplug: bits&2 != 0}
		plan, err := PlanMounts(cid, in, facts(), caps)
		again, errAgain := PlanMounts(cid, in, facts(), caps)
		samePlan(t, plan, again, err, errAgain)
		if err == nil {
			checkPlan(t, cid, plan)
		}
		r, err := PlanRootfs(cid, root, "/bundle/rootfs", caps)
		s, errAgain := PlanRootfs(cid, root, "/bundle/rootfs", caps)
		samePlan(t, r, s, err, errAgain)
		if err == nil {
			checkRoot(t, cid, r)
		}
	})
}

func samePlan(t *testing.T, a, b any, errA, errB error) {
	t.Helper()
	if (errA == nil) != (errB == nil) || !reflect.DeepEqual(a, b) {
		t.Fatalf("one input gave %+v, error %v, and %+v, error %v", a, errA, b, errB)
	}
	if errA != nil && errors.Is(errdefs.Resolve(errA), errdefs.ErrUnknown) {
		t.Fatalf("an error without a class: %v", errA)
	}
}

func checkPlan(t *testing.T, cid string, p Plan) {
	t.Helper()
	names := map[string]bool{}
	for _, s := range p.Shares {
		isFresh(t, names, path.Join(ShareMount, s.Name))
		if !isFileName(s.Name) || !strings.HasPrefix(s.Name, cid+"-") {
			t.Errorf("a share is named %q", s.Name)
		}
		isHostPath(t, s.Source)
	}
	for _, c := range p.Copies {
		isFresh(t, names, c.GuestPath)
		isBelow(t, c.GuestPath, map[bool]string{true: filesDir, false: ShareMount}[c.OfPod])
		isHostPath(t, c.Source)
	}
	checkDisks(t, names, p.Disks)
	for _, s := range p.Storages {
		isFresh(t, names, s.MountPoint)
		isBelow(t, s.MountPoint, ephemeralDir)
	}
	for _, d := range p.Devices {
		if d.Disk >= len(p.Disks) {
			t.Errorf("%s is disk %d of %d", d.ContainerPath, d.Disk, len(p.Disks))
		}
	}
	for _, m := range p.Mounts {
		checkGuestMount(t, names, m)
	}
}

// checkGuestMount takes the places that the plan makes in the guest.
func checkGuestMount(t *testing.T, places map[string]bool, m GuestMount) {
	t.Helper()
	if !path.IsAbs(m.Destination) || path.Clean(m.Destination) != m.Destination || strings.ContainsRune(m.Destination, 0) {
		t.Errorf("the destination is %q", m.Destination)
	}
	if m.Destination == "/proc" && m.Type != "proc" {
		t.Errorf("%s of %s is mounted over proc", m.Type, m.Source)
	}
	if !path.IsAbs(m.Source) {
		if m.Type == "bind" {
			t.Errorf("%s is bound to %s", m.Source, m.Destination)
		}
		return
	}
	if !places[m.Source] && m.Source != ShmPath && !slices.Contains(guestNodes[:], m.Source) {
		t.Errorf("%s in the guest comes from %s, which the plan does not make", m.Destination, m.Source)
	}
}

func checkDisks(t *testing.T, names map[string]bool, disks []Disk) {
	t.Helper()
	for _, d := range disks {
		isHostPath(t, d.HostPath)
		if d.GuestMount != "" {
			isFresh(t, names, d.GuestMount)
			isBelow(t, d.GuestMount, containersDir+"/")
		}
		if d.MkfsSize < 0 || d.MkfsSize > 0 && d.ReadOnly {
			t.Errorf("a disk to make: %+v", d)
		}
	}
}

func checkRoot(t *testing.T, cid string, r Root) {
	t.Helper()
	names := map[string]bool{}
	isBelow(t, r.GuestPath, containersDir+"/")
	checkDisks(t, names, r.Disks)
	for _, m := range r.HostMounts {
		isFresh(t, names, m.Target)
		if m.Target != path.Join(cid, "rootfs") {
			t.Errorf("the root is mounted at %q on the share", m.Target)
		}
	}
	if (len(r.HostMounts) == 0) == (len(r.Disks) == 0) {
		t.Errorf("the root is on the share %+v and on disks %+v", r.HostMounts, r.Disks)
	}
	if _, err := r.Storages(func(disk int) (string, error) { return fmt.Sprint(disk), nil }); err != nil {
		t.Error(err)
	}
	if r.Overlay != nil {
		checkOverlay(t, cid, r.Overlay)
	}
}

// checkOverlay looks for directories of the host.
func checkOverlay(t *testing.T, cid string, s *agentpb.Storage) {
	t.Helper()
	for _, option := range s.Options {
		key, value, _ := strings.Cut(option, "=")
		if !slices.Contains([]string{"lowerdir", "upperdir", "workdir"}, key) {
			continue
		}
		for place := range strings.SplitSeq(value, ":") {
			isBelow(t, place, path.Join(containersDir, cid)+"/")
		}
	}
}

func isFresh(t *testing.T, names map[string]bool, name string) {
	t.Helper()
	if names[name] {
		t.Errorf("the plan makes %s twice", name)
	}
	names[name] = true
}

func isFileName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) < 256 && !strings.ContainsAny(name, "/\x00")
}

func isBelow(t *testing.T, place, dir string) {
	t.Helper()
	if !strings.HasPrefix(place, dir) || path.Clean(place) != place || strings.ContainsRune(place, 0) {
		t.Errorf("%q is not below %s", place, dir)
	}
}

func isHostPath(t *testing.T, source string) {
	t.Helper()
	if !path.IsAbs(source) || strings.ContainsRune(source, 0) {
		t.Errorf("%q is no path of the host", source)
	}
}

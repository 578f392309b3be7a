// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/ocijson"
	"github.com/katapod/katapod/sandbox/spec/spectest"
	"github.com/katapod/katapod/sandbox/storage"
)

// fuzzHost knows spectest's directory of the host and nothing else. What is below a
// directory of it is of the kind that the directory's name stands for.
type fuzzHost struct{}

func (fuzzHost) Stat(p string) (storage.Fact, error) {
	kinds := map[string]storage.Fact{
		"d": {Kind: storage.Directory}, "f": {Kind: storage.File, Size: 100}, "b": {Kind: storage.BlockDevice, Major: 8},
		"c": {Kind: storage.CharDevice}, "s": {Kind: storage.Socket}, "t": {Kind: storage.Directory, Tmpfs: true, TmpfsSize: 4096},
	}
	rest, found := strings.CutPrefix(path.Clean(p), spectest.Host+"/")
	kind, _, _ := strings.Cut(rest, "/")
	if fact, known := kinds[kind]; found && known {
		return fact, nil
	}
	return storage.Fact{}, fmt.Errorf("%s: %w", p, errdefs.ErrNotFound)
}

func (fuzzHost) BlockDevice(major, minor int64) (string, error) {
	if major == 8 {
		return fmt.Sprintf("%s/b/%d", spectest.Host, minor), nil
	}
	return "", fmt.Errorf("%d:%d: %w", major, minor, errdefs.ErrNotFound)
}

func (fuzzHost) MountsBelow(string) (bool, error) { return false, nil }

// FuzzToGuest takes a config.json from bytes to the guest's form, as the creation
// of a container does. Every input gives a guest's spec or an error of a known
// class; the same input gives the same; no path of the host that a mount or a
// device named is left where the runtime in the guest would use it.
func FuzzToGuest(f *testing.F) {
	cri, err := os.ReadFile("testdata/cri-container.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cri, byte(7))
	for _, mounts := range []string{
		`[]`, `[{"destination":"/d","type":"bind","source":"/host-only/d","options":["rbind","rro"]}]`,
		`[{"destination":"/proc","type":"proc","source":"/host-only/f","options":["bind"]}]`,
		`[{"destination":"/b","type":"bind","source":"/host-only/b/1"},{"destination":"/dev/shm","source":"/host-only/t","options":["bind"]}]`,
	} {
		f.Add(fmt.Appendf(nil, `{"ociVersion":"1.3.0","process":{"args":["sh"],"cwd":"/"},"mounts":%s,"linux":{"namespaces":[{"type":"pid"},{"type":"ipc"},
			{"type":"uts"},{"type":"mount"},{"type":"network","path":"/host-only/n"}],"devices":[{"path":"/dev/x","type":"b","major":8}],
			"resources":{"devices":[{"allow":true,"access":"rw","type":"b","major":8}]}}}`, mounts), byte(15))
	}
	f.Fuzz(func(t *testing.T, config []byte, bits byte) {
		in := spectest.FromBytes(config)
		if in == nil {
			return
		}
		a, err := toGuest(in, bits)
		b, errAgain := toGuest(in, bits)
		if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(a, b) {
			t.Fatalf("one spec gave %v, error %v, and %v, error %v", a, err, b, errAgain)
		}
		if err != nil {
			if errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		Notes(in, Env{VCPUs: 2})
		ForHost(in)
		checkGuest(t, a)
		if data, err := ocijson.Encode(a); err == nil {
			if _, err := ocijson.Decode[specs.Spec](data); err != nil {
				t.Errorf("the guest's spec cannot be read: %v", err)
			}
		}
		if wire, err := ToWire(a); err != nil {
			if !errdefs.IsNotImplemented(err) {
				t.Errorf("in the shape of the protocol: %v", err)
			}
		} else if _, err := proto.Marshal(wire); err != nil {
			t.Errorf("the guest's spec cannot be sent: %v", err)
		}
	})
}

// toGuest plans and translates as the creation of a container does.
func toGuest(in *specs.Spec, bits byte) (*specs.Spec, error) {
	caps := storage.Capabilities{SharedFS: bits&1 != 0, DiskHotplug: bits&2 != 0}
	var mounts []storage.Mount
	for _, m := range in.Mounts {
		mounts = append(mounts, storage.FromSpec(m, in.Linux))
	}
	plan, err := storage.PlanMounts("c1", mounts, fuzzHost{}, caps)
	if err != nil {
		return nil, err
	}
	if in.Linux != nil && !IsPrivileged(in) {
		var rules []specs.LinuxDeviceCgroup
		if in.Linux.Resources != nil {
			rules = in.Linux.Resources.Devices
		}
		if plan, err = plan.WithDevices(in.Linux.Devices, rules, fuzzHost{}, caps); err != nil {
			return nil, err
		}
	}
	return ToGuest(in, Env{
		ContainerID: "c1", RootPath: storage.SharedRoot("c1"), VCPUs: 2, SharedPIDNS: bits&4 != 0,
		Mounts: plan.Mounts, Devices: plan.Devices, DisableSeccomp: bits&8 != 0, DisableSELinux: bits&16 != 0,
	})
}

// checkGuest looks at what the runtime in the guest opens or joins.
func checkGuest(t *testing.T, s *specs.Spec) {
	t.Helper()
	isGuests(t, "the root", s.Root.Path)
	isGuests(t, "the cgroup", s.Linux.CgroupsPath)
	for _, m := range s.Mounts {
		isGuests(t, "the mount at "+m.Destination, m.Source)
	}
	kinds := map[specs.LinuxNamespaceType]bool{}
	for _, n := range s.Linux.Namespaces {
		if n.Path != "" || kinds[n.Type] {
			t.Errorf("the namespaces are %v", s.Linux.Namespaces)
		}
		kinds[n.Type] = true
	}
	if s.Hooks != nil {
		if !reflect.DeepEqual(s.Hooks, &specs.Hooks{StartContainer: s.Hooks.StartContainer}) {
			t.Errorf("hooks of the host reach the guest: %v", s.Hooks)
		}
	}
}

func isGuests(t *testing.T, what, p string) {
	t.Helper()
	if strings.HasPrefix(path.Clean(p), spectest.Host) {
		t.Errorf("%s in the guest is %s, of the host", what, p)
	}
}

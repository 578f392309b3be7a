// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
)

// world is a host made of facts.
type world map[string]Fact

func (w world) Stat(path string) (Fact, error) {
	if fact, ok := w[path]; ok {
		return fact, nil
	}
	return Fact{}, fmt.Errorf("%s: %w", path, errdefs.ErrNotFound)
}

func (w world) BlockDevice(major, minor int64) (string, error) {
	for path, fact := range w {
		if fact.Kind == BlockDevice && fact.Major == major && fact.Minor == minor {
			return path, nil
		}
	}
	return "", fmt.Errorf("%d:%d: %w", major, minor, errdefs.ErrNotFound)
}

// MountsBelow says yes for directories that end in "/mounts".
func (w world) MountsBelow(dir string) (bool, error) { return strings.HasSuffix(dir, "/mounts"), nil }

const (
	volumes  = "/var/lib/kubelet/pods/1/volumes/"
	memory   = volumes + "kubernetes.io~empty-dir/cache"
	criHosts = "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/p1/hosts"
	criShm   = "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/p1/shm"
)

func facts() world {
	return world{
		"/data": {Kind: Directory}, "/data/mounts": {Kind: Directory}, "/etc/hosts": {Kind: File, Size: 100}, "/large": {Kind: File, Size: maxCopy + 1},
		"/run/x.sock": {Kind: Socket}, "/dev/sda": {Kind: BlockDevice, Major: 8}, "/dev/kvm": {Kind: CharDevice}, "/fifo": {Kind: Other},
		memory: {Kind: Directory, Tmpfs: true, TmpfsSize: 1 << 20}, volumes + "kubernetes.io~empty-dir/disk": {Kind: Directory},
		"/crio/userdata/shm": {Kind: Directory, Tmpfs: true},
		criHosts:             {Kind: File, Size: 100}, "/run/containerd/sandboxes/p1/resolv.conf": {Kind: File, Size: maxCopy + 1},
	}
}

func bindOf(source, destination string, options ...string) Mount {
	return Mount{Type: "bind", Source: source, Destination: destination, Options: options}
}

// engineFile is where the pod's copy of a file is.
func engineFile(source string) string {
	var p planner
	p.addEngineFile(Mount{Source: source})
	return p.plan.Copies[0].GuestPath
}

func TestEngineFiles(t *testing.T) {
	for source, want := range map[string]bool{
		criHosts: true, "/x/sandboxes/p1/hostname": true, "/x/sandboxes/p1/../p1/resolv.conf": true,
		"/run/containerd/io.containerd.sandbox.controller.v1.shim/k8s.io/p1/hosts": true,
		"/var/lib/kubelet/pods/uid/etc-hosts":                                      true, "/var/lib/kubelet/pods/uid/volumes/etc-hosts": false,
		"/var/lib/docker/containers/c1/hosts": false, "/etc/hosts": false, "/x/sandboxes/p1/config": false, "/x/sandboxes/hosts": false,
	} {
		if got := isEngineFile(source); got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
	got, err := PlanMounts("c1", []Mount{bindOf(criHosts, "/etc/hosts"), bindOf(criHosts, "/hosts", "ro")}, facts(), Capabilities{})
	if err != nil || len(got.Copies) != 1 || got.Mounts[0].Source != got.Mounts[1].Source {
		t.Errorf("one file at two places: %+v, %v", got, err)
	}
	again, err := PlanMounts("c2", []Mount{bindOf(criHosts, "/etc/hosts")}, facts(), all)
	if err != nil || !reflect.DeepEqual(again.Copies, got.Copies) {
		t.Errorf("one file of two containers: %+v and %+v, %v", again, got, err)
	}
}

func TestSharesRoot(t *testing.T) {
	for name, c := range map[string]struct {
		rootfs []Mount
		want   bool
	}{
		"none": {nil, true}, "overlay": {[]Mount{{Type: "overlay"}}, true}, "bind": {[]Mount{{Type: "bind"}}, true},
		"a disk": {[]Mount{{Type: "erofs"}}, false}, "layers": {[]Mount{{Type: "erofs"}, {Type: "format/overlay"}}, false},
	} {
		if got := SharesRoot(c.rootfs); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// place is an entry on the share.
func place(destination string) string { return ShareMount + entryName("c1", destination) }

func TestPlanMounts(t *testing.T) {
	type guest = []GuestMount
	for _, c := range []struct {
		name string
		m    Mount
		want Plan
	}{
		{"proc", Mount{Type: "proc", Source: "proc", Destination: "/proc", Options: []string{"nosuid"}}, Plan{Mounts: guest{{Destination: "/proc", Source: "proc", Type: "proc", Options: []string{"nosuid"}}}}},
		{"sysfs", Mount{Type: "sysfs", Source: "sysfs", Destination: "/sys/"}, Plan{Mounts: guest{{Destination: "/sys", Source: "sysfs", Type: "sysfs", Options: nil}}}},
		{"tmpfs without the host's path", Mount{Type: "tmpfs", Source: "/host", Destination: "/tmp"}, Plan{Mounts: guest{{Destination: "/tmp", Source: "tmpfs", Type: "tmpfs", Options: nil}}}},
		{"shm of its own", Mount{Type: "tmpfs", Source: "shm", Destination: "/dev/shm"}, Plan{Mounts: guest{{Destination: "/dev/shm", Source: "shm", Type: "tmpfs", Options: nil}}}},
		{"devpts", Mount{Type: "devpts", Destination: "/dev/pts"}, Plan{Mounts: guest{{Destination: "/dev/pts", Source: "devpts", Type: "devpts", Options: nil}}}},
		{"mqueue", Mount{Type: "mqueue", Source: "mqueue", Destination: "/dev/mqueue"}, Plan{Mounts: guest{{Destination: "/dev/mqueue", Source: "mqueue", Type: "mqueue", Options: nil}}}},
		{"cgroup", Mount{Type: "cgroup", Source: "cgroup", Destination: "/sys/fs/cgroup"}, Plan{Mounts: guest{{Destination: "/sys/fs/cgroup", Source: "cgroup", Type: "cgroup", Options: nil}}}},

		{"the pod's shm of the host", bindOf("/dev/shm", "/dev/shm", "rbind", "rw"), Plan{Mounts: guest{{Destination: "/dev/shm", Source: ShmPath, Type: "bind", Options: []string{"rbind", "rw"}}}}},
		{"the pod's shm of containerd, not made", bindOf(criShm, "/dev/shm", "rbind", "ro"), Plan{Mounts: guest{{Destination: "/dev/shm", Source: ShmPath, Type: "bind", Options: []string{"rbind", "ro"}}}}},
		{"the pod's shm of another engine", bindOf("/crio/userdata/shm", "/dev/shm"), Plan{Mounts: guest{{Destination: "/dev/shm", Source: ShmPath, Type: "bind", Options: []string{"rbind", "rw"}}}}},

		{
			"a volume in memory", bindOf(memory, "/cache", "rbind", "rw"),
			Plan{
				Mounts:   guest{{Destination: "/cache", Source: "/run/kata-containers/sandbox/ephemeral/cache", Type: "bind", Options: []string{"rbind", "rw"}}},
				Storages: []*agentpb.Storage{{Driver: "ephemeral", Source: "tmpfs", Fstype: "tmpfs", Options: []string{"mode=0777", "size=1048576"}, MountPoint: "/run/kata-containers/sandbox/ephemeral/cache", Shared: true}},
			},
		},
		{
			"a volume in memory at /dev/shm is no shm of the pod", bindOf(memory, "/dev/shm", "rbind"),
			Plan{
				Mounts:   guest{{Destination: "/dev/shm", Source: "/run/kata-containers/sandbox/ephemeral/cache", Type: "bind", Options: []string{"rbind"}}},
				Storages: []*agentpb.Storage{{Driver: "ephemeral", Source: "tmpfs", Fstype: "tmpfs", Options: []string{"mode=0777", "size=1048576"}, MountPoint: "/run/kata-containers/sandbox/ephemeral/cache", Shared: true}},
			},
		},
		{
			"a volume on disk", bindOf(volumes+"kubernetes.io~empty-dir/disk", "/d", "rbind"),
			Plan{
				Mounts: guest{{Destination: "/d", Source: place("/d"), Type: "bind", Options: []string{"rbind"}}},
				Shares: []Share{{Name: entryName("c1", "/d"), Source: volumes + "kubernetes.io~empty-dir/disk", Directory: true, Recursive: true}},
			},
		},
		{
			"a directory, read-only", bindOf("/data", "/mnt/data/", "bind", "ro"),
			Plan{
				Mounts: guest{{Destination: "/mnt/data", Source: place("/mnt/data"), Type: "bind", Options: []string{"bind", "ro"}}},
				Shares: []Share{{Name: entryName("c1", "/mnt/data"), Source: "/data", Directory: true, Access: ReadOnly}},
			},
		},
		{
			"a directory, read-only, but not what is mounted below it", bindOf("/data/mounts", "/mnt/data", "rbind", "ro"),
			Plan{
				Mounts: guest{{Destination: "/mnt/data", Source: place("/mnt/data"), Type: "bind", Options: []string{"rbind"}}},
				Shares: []Share{{
					Name: entryName("c1", "/mnt/data"), Source: "/data/mounts", Directory: true, Access: ReadOnly, Recursive: true,
				}},
			},
		},
		{
			"a directory, read-only with what is below", bindOf("/data", "/mnt/data", "rbind", "rro", "rprivate"),
			Plan{
				Mounts: guest{{Destination: "/mnt/data", Source: place("/mnt/data"), Type: "bind", Options: []string{"rbind", "rprivate", "ro"}}},
				Shares: []Share{{
					Name: entryName("c1", "/mnt/data"), Source: "/data", Directory: true, Access: ReadOnlyBelow, Recursive: true,
				}},
			},
		},
		{
			"a file", bindOf("/etc/hosts", "/etc/hosts", "rbind", "rw"),
			Plan{
				Mounts: guest{{Destination: "/etc/hosts", Source: place("/etc/hosts"), Type: "bind", Options: []string{"rbind", "rw"}}},
				Shares: []Share{{Name: entryName("c1", "/etc/hosts"), Source: "/etc/hosts", Recursive: true}},
			},
		},
		{
			"a file of the engine", bindOf(criHosts, "/etc/hosts", "rbind", "rw"),
			Plan{
				Mounts: guest{{Destination: "/etc/hosts", Source: engineFile(criHosts), Type: "bind", Options: []string{"rbind", "rw"}}},
				Copies: []Copy{{Source: criHosts, GuestPath: engineFile(criHosts), OfPod: true}},
			},
		},
		{
			"a file in the place of the engine's that is too large", bindOf("/run/containerd/sandboxes/p1/resolv.conf", "/etc/resolv.conf", "rbind"),
			Plan{
				Mounts: guest{{Destination: "/etc/resolv.conf", Source: place("/etc/resolv.conf"), Type: "bind", Options: []string{"rbind"}}},
				Shares: []Share{{Name: entryName("c1", "/etc/resolv.conf"), Source: "/run/containerd/sandboxes/p1/resolv.conf", Recursive: true}},
			},
		},
		{"a node that every guest has", bindOf("/dev/urandom", "/dev/random", "bind"), Plan{Mounts: guest{{Destination: "/dev/random", Source: "/dev/urandom", Type: "bind", Options: []string{"bind"}}}}},
		{
			"a block device", bindOf("/dev/sda", "/dev/xvda", "bind", "ro"),
			Plan{Disks: []Disk{{HostPath: "/dev/sda", ReadOnly: true}}, Devices: []Device{{Disk: 0, ContainerPath: "/dev/xvda", Major: 8}}},
		},
		{
			"a disk with a file system", Mount{Type: "ext4", Source: "/dev/sda", Destination: "/vol", Options: []string{"noatime"}},
			Plan{
				Mounts: guest{{Destination: "/vol", Source: "/run/kata-containers/c1/volumes/" + entryName("c1", "/vol"), Type: "bind", Options: []string{"rbind", "rw"}}},
				Disks:  []Disk{{HostPath: "/dev/sda", FSType: "ext4", Options: []string{"noatime"}, GuestMount: "/run/kata-containers/c1/volumes/" + entryName("c1", "/vol")}},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := PlanMounts("c1", []Mount{c.m}, facts(), all)
			if err != nil {
				t.Fatal(err)
			}
			if !sameStorages(got.Storages, c.want.Storages) {
				t.Errorf("storages are %v, want %v", got.Storages, c.want.Storages)
			}
			got.Storages, c.want.Storages = nil, nil
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func sameStorages(a, b []*agentpb.Storage) bool {
	return proto.Equal(&agentpb.CreateContainerRequest{Storages: a}, &agentpb.CreateContainerRequest{Storages: b})
}

func TestPlanMountsErrors(t *testing.T) {
	noShare, noDisk := Capabilities{DiskHotplug: true}, Capabilities{SharedFS: true}
	for _, c := range []struct {
		name string
		m    Mount
		caps Capabilities
		is   func(error) bool
		says string
	}{
		{"a relative destination", bindOf("/data", "data"), all, errdefs.IsInvalidArgument, `"data"`},
		{"no UTF-8", bindOf("/data", "/\xff"), all, errdefs.IsInvalidArgument, "UTF-8"},
		{"an absent source", bindOf("/absent", "/a"), all, errdefs.IsNotFound, "/absent"},
		{"a socket", bindOf("/run/x.sock", "/x"), all, errdefs.IsNotImplemented, "a socket of the host"},
		{"a character device", bindOf("/dev/kvm", "/dev/kvm"), all, errdefs.IsNotImplemented, "a character device of the host"},
		{"a FIFO", bindOf("/fifo", "/f"), all, errdefs.IsNotImplemented, "a special file"},
		{"all devices", bindOf("/dev", "/host/dev", "rbind"), all, errdefs.IsNotImplemented, "/dev"},
		{"an unknown type", Mount{Type: "nfs", Source: "h:/x", Destination: "/n"}, all, errdefs.IsNotImplemented, `"nfs"`},
		{"no type", Mount{Source: "/data", Destination: "/n"}, all, errdefs.IsNotImplemented, `type ""`},
		{"over proc by a wrong type", Mount{Type: "proc", Source: "/data", Destination: "/proc", Options: []string{"rbind"}}, all, errdefs.IsInvalidArgument, "only proc"},
		{"in proc by a wrong type", Mount{Type: "proc", Source: "/etc/hosts", Destination: "/proc/self/attr", Options: []string{"bind"}}, all, errdefs.IsInvalidArgument, "/proc/cpuinfo"},
		{"a zero byte in the source", bindOf("/data\x00", "/d"), all, errdefs.IsInvalidArgument, "zero byte"},
		{"a zero byte in the destination", bindOf("/data", "/d\x00"), all, errdefs.IsInvalidArgument, "destination"},
		{"over proc", bindOf("/data", "/proc"), all, errdefs.IsInvalidArgument, "only proc"},
		{"in proc", bindOf("/etc/hosts", "/proc/self/attr"), all, errdefs.IsInvalidArgument, "/proc/cpuinfo"},
		{"in proc by a detour", bindOf("/etc/hosts", "/x/../proc/self/attr"), all, errdefs.IsInvalidArgument, "/proc/cpuinfo"},
		{"tmpfs over sys", Mount{Type: "tmpfs", Source: "tmpfs", Destination: "/sys"}, all, errdefs.IsInvalidArgument, "only sysfs"},
		{"a directory without a share", bindOf("/data", "/d"), noShare, errdefs.IsFailedPrecondition, "shared_fs"},
		{"a large file without a share", bindOf("/large", "/l"), noShare, errdefs.IsFailedPrecondition, "1048577 bytes"},
		{"a block device without disks", bindOf("/dev/sda", "/x"), noDisk, errdefs.IsFailedPrecondition, "disable_block_device_use"},
		{"a disk without disks", Mount{Type: "ext4", Source: "/dev/sda", Destination: "/v"}, noDisk, errdefs.IsFailedPrecondition, "mount /v"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := PlanMounts("c1", []Mount{c.m}, facts(), c.caps)
			if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %+v, error %v", got, err)
			}
		})
	}
	if _, err := PlanMounts("a/b", nil, facts(), all); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a bad id: error %v", err)
	}
}

func TestMountsOverFilesOfProc(t *testing.T) {
	if _, err := PlanMounts("c1", []Mount{bindOf("/etc/hosts", "/proc/meminfo")}, facts(), all); err != nil {
		t.Error(err)
	}
}

func TestSmallFilesAreCopiedWithoutAShare(t *testing.T) {
	got, err := PlanMounts("c1", []Mount{bindOf("/etc/hosts", "/etc/hosts", "rbind", "ro")}, facts(), Capabilities{})
	want := Plan{
		Mounts: []GuestMount{{Destination: "/etc/hosts", Source: place("/etc/hosts"), Type: "bind", Options: []string{"rbind", "ro"}}},
		Copies: []Copy{{Source: "/etc/hosts", GuestPath: place("/etc/hosts")}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, error %v, want %+v", got, err, want)
	}
}

func TestOrderStaysAndOneVolumeIsMadeOnce(t *testing.T) {
	got, err := PlanMounts("c1", []Mount{
		bindOf(memory, "/a"), {Type: "proc", Source: "proc", Destination: "/proc"}, bindOf(memory, "/b"), bindOf("/data", "/b/c"),
	}, facts(), all)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, m := range got.Mounts {
		order = append(order, m.Destination)
	}
	if strings.Join(order, " ") != "/a /proc /b /b/c" || len(got.Storages) != 1 {
		t.Errorf("order is %v, storages are %v", order, got.Storages)
	}
}

func TestNothingOfTheHostIsInTheGuestsMounts(t *testing.T) {
	host := facts()
	for source := range host {
		plan, err := PlanMounts("c1", []Mount{bindOf(source, "/dest")}, host, all)
		if err != nil {
			continue
		}
		for _, m := range plan.Mounts {
			if strings.Contains(m.Source, source) && !strings.HasPrefix(source, "/dev/") {
				t.Errorf("%s: the guest's source is %s", source, m.Source)
			}
		}
	}
}

// entryName is that of the first mount at a destination.
func entryName(cid, destination string) string { return numberedName(cid, destination, 1) }

func TestMountsOnTopOfEachOther(t *testing.T) {
	got, err := PlanMounts("c1", []Mount{bindOf("/data", "/d"), bindOf("/etc/hosts", "/d/")}, facts(), all)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := got.Shares[0], got.Shares[1]; a.Name == b.Name || a.Name != entryName("c1", "/d") || got.Mounts[1].Source != ShareMount+b.Name {
		t.Errorf("plan is %+v", got)
	}
}

func TestEntryName(t *testing.T) {
	if got := entryName("c1", "/etc/hosts"); !strings.HasPrefix(got, "c1-") || !strings.HasSuffix(got, "-hosts") || len(got) != len("c1-12345678-hosts") {
		t.Errorf("name is %s", got)
	}
	if entryName("c1", "/a/x") == entryName("c1", "/b/x") || entryName("c1", "/a/x") == entryName("c2", "/a/x") {
		t.Error("two mounts have one name")
	}
	long := entryName(strings.Repeat("c", 200), "/"+strings.Repeat("ä", 200))
	if len(long) > 255 || !utf8.ValidString(long) {
		t.Errorf("name %q has %d bytes", long, len(long))
	}
	if got := entryName("c1", "/"); !strings.HasSuffix(got, "-root") {
		t.Errorf("name is %s", got)
	}
}

func TestWithDevices(t *testing.T) {
	rule := func(allow bool, access string, major int64) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: allow, Type: "b", Major: &major, Access: access}
	}
	sda := specs.LinuxDevice{Path: "/dev/block", Type: "b", Major: 8}
	null := specs.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 3}
	for _, c := range []struct {
		name     string
		rules    []specs.LinuxDeviceCgroup
		readOnly bool
	}{
		{"no rules", nil, true},
		{"all is denied", []specs.LinuxDeviceCgroup{{Access: "rwm"}}, true},
		{"may be read", []specs.LinuxDeviceCgroup{{Access: "rwm"}, rule(true, "rm", 8)}, true},
		{"may be written", []specs.LinuxDeviceCgroup{{Access: "rwm"}, rule(true, "rwm", 8)}, false},
		{"another may be written", []specs.LinuxDeviceCgroup{{Access: "rwm"}, rule(true, "rwm", 9)}, true},
		{"denied later", []specs.LinuxDeviceCgroup{rule(true, "rwm", 8), rule(false, "w", 8)}, true},
	} {
		base := Plan{Disks: []Disk{{HostPath: "/other"}}}
		got, err := base.WithDevices([]specs.LinuxDevice{null, sda}, c.rules, facts(), all)
		want := Plan{
			Disks:   []Disk{{HostPath: "/other"}, {HostPath: "/dev/sda", ReadOnly: c.readOnly}},
			Devices: []Device{{Disk: 1, ContainerPath: "/dev/block", Major: 8}},
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, error %v, want %+v", c.name, got, err, want)
		}
		if len(base.Disks) != 1 {
			t.Errorf("%s: the plan that it began with changed", c.name)
		}
	}
	absent := specs.LinuxDevice{Path: "/dev/block", Type: "b", Major: 77}
	if _, err := (Plan{}).WithDevices([]specs.LinuxDevice{absent}, nil, facts(), all); !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "/dev/block") {
		t.Errorf("an absent device: error %v", err)
	}
	if _, err := (Plan{}).WithDevices([]specs.LinuxDevice{sda}, nil, facts(), Capabilities{}); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("without disks: error %v", err)
	}
}

func TestAgentsForm(t *testing.T) {
	plan, err := PlanMounts("c1", []Mount{
		bindOf("/dev/sda", "/dev/xvda"), {Type: "ext4", Source: "/img", Destination: "/vol"}, bindOf(memory, "/cache"),
	}, facts(), all)
	if err != nil {
		t.Fatal(err)
	}
	at := func(disk int) (string, error) { return fmt.Sprintf("0%d/00", disk), nil }
	storages, err := plan.AgentStorages(at)
	if err != nil || len(storages) != 2 || storages[0].Source != "01/00" || storages[0].Driver != "blk" || storages[1].Driver != "ephemeral" {
		t.Errorf("storages are %v, error %v", storages, err)
	}
	devices, err := plan.AgentDevices(at)
	want := &agentpb.Device{Id: "00/00", Type: "blk", ContainerPath: "/dev/xvda"}
	if err != nil || len(devices) != 1 || !proto.Equal(devices[0], want) {
		t.Errorf("devices are %v, error %v", devices, err)
	}
	broken := func(int) (string, error) { return "", errdefs.ErrUnavailable }
	if _, err := plan.AgentStorages(broken); !errdefs.IsUnavailable(err) {
		t.Errorf("error %v", err)
	}
	if _, err := plan.AgentDevices(broken); !errdefs.IsUnavailable(err) {
		t.Errorf("error %v", err)
	}
}

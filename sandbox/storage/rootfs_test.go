// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
)

var all = Capabilities{DiskHotplug: true, SharedFS: true}

const (
	guestRoot  = "/run/kata-containers/c1/rootfs"
	guestLayer = "/run/kata-containers/c1/layers/"
	mkdirs     = "io.katacontainers.volume.overlayfs.create_directory="
)

func erofs(source string) Mount {
	return Mount{Type: "erofs", Source: source, Options: []string{"ro", "loop"}}
}

func TestPlanRootfsOverTheShare(t *testing.T) {
	overlay := Mount{Type: "overlay", Source: "overlay", Options: []string{"workdir=/w", "upperdir=/u", "lowerdir=/l", "index=off"}}
	bind := Mount{Type: "bind", Source: "/snapshots/3", Options: []string{"rbind", "rw"}}
	for _, c := range []struct {
		name   string
		rootfs []Mount
		want   HostMount
	}{
		{"overlayfs", []Mount{overlay}, HostMount{Type: "overlay", Source: "overlay", Options: overlay.Options, Target: "c1/rootfs"}},
		{"native", []Mount{bind}, HostMount{Type: "bind", Source: "/snapshots/3", Options: bind.Options, Target: "c1/rootfs"}},
		{"bind by option", []Mount{{Type: "none", Source: "/r", Options: []string{"bind"}}}, HostMount{Type: "none", Source: "/r", Options: []string{"bind"}, Target: "c1/rootfs"}},
		{"mounted already", nil, HostMount{Type: "bind", Source: "/bundle/rootfs", Options: []string{"rbind", "rw"}, Target: "c1/rootfs"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := PlanRootfs("c1", c.rootfs, "/bundle/rootfs", Capabilities{SharedFS: true})
			want := Root{GuestPath: "/run/kata-containers/shared/containers/c1/rootfs", HostMounts: []HostMount{c.want}}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, error %v, want %+v", got, err, want)
			}
			_, err = PlanRootfs("c1", c.rootfs, "/bundle/rootfs", Capabilities{DiskHotplug: true})
			if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "shared_fs") {
				t.Errorf("without a share: error %v", err)
			}
		})
	}
}

func TestPlanRootfsOnDisks(t *testing.T) {
	rwlayer := Mount{Type: "mkfs/ext4", Source: "/s/9/rwlayer.img", Options: []string{"X-containerd.mkfs.fs=ext4", "X-containerd.mkfs.size=67108864", "rw", "loop"}}
	overlayStorage := func(directories []string, options ...string) *agentpb.Storage {
		return &agentpb.Storage{Driver: "overlayfs", Source: "overlay", Fstype: "overlay", MountPoint: guestRoot, Options: options, DriverOptions: directories}
	}
	lower := func(source string, n int) Disk {
		return Disk{HostPath: source, ReadOnly: true, FSType: "erofs", Options: []string{"ro"}, GuestMount: fmt.Sprint(guestLayer, n)}
	}
	onTmpfs := []string{mkdirs + "/run/kata-containers/c1/work", mkdirs + "/run/kata-containers/c1/upper"}
	for _, c := range []struct {
		name   string
		rootfs []Mount
		want   Root
	}{
		{
			"blockfile", []Mount{{Type: "ext4", Source: "/snapshots/6", Options: []string{"loop", "rw"}}},
			Root{GuestPath: guestRoot, Disks: []Disk{{HostPath: "/snapshots/6", FSType: "ext4", GuestMount: guestRoot}}},
		},
		{
			"a device with options, read-only", []Mount{{Type: "xfs", Source: "/dev/mapper/x", Options: []string{"nouuid", "ro"}}},
			Root{GuestPath: guestRoot, Disks: []Disk{{HostPath: "/dev/mapper/x", ReadOnly: true, FSType: "xfs", Options: []string{"ro", "nouuid"}, GuestMount: guestRoot}}},
		},
		{
			"one EROFS layer, upper on the host",
			[]Mount{erofs("/s/3/layer.erofs"), {Type: "format/mkdir/overlay", Source: "overlay", Options: []string{"workdir=/s/4/work", "upperdir=/s/4/fs", "lowerdir={{ mount 0 }}"}}},
			Root{
				GuestPath: guestRoot, Disks: []Disk{lower("/s/3/layer.erofs", 0)},
				Overlay: overlayStorage(onTmpfs, "lowerdir="+guestLayer+"0", "upperdir=/run/kata-containers/c1/upper", "workdir=/run/kata-containers/c1/work"),
			},
		},
		{
			"three EROFS layers",
			[]Mount{erofs("/s/3"), erofs("/s/2"), erofs("/s/1"), {Type: "format/overlay", Options: []string{"lowerdir={{ overlay 0 2 }}", "workdir=/w", "upperdir=/u", "index=off"}}},
			Root{
				GuestPath: guestRoot, Disks: []Disk{lower("/s/3", 0), lower("/s/2", 1), lower("/s/1", 2)},
				Overlay: overlayStorage(onTmpfs, "lowerdir="+guestLayer+"0:"+guestLayer+"1:"+guestLayer+"2", "index=off", "upperdir=/run/kata-containers/c1/upper", "workdir=/run/kata-containers/c1/work"),
			},
		},
		{
			"layers in descending order, read-only",
			[]Mount{erofs("/s/1"), erofs("/s/2"), {Type: "format/mkdir/overlay", Options: []string{"ro", "lowerdir={{ overlay 1 0 }}"}}},
			Root{
				GuestPath: guestRoot, Disks: []Disk{lower("/s/1", 0), lower("/s/2", 1)},
				Overlay: overlayStorage(nil, "lowerdir="+guestLayer+"1:"+guestLayer+"0", "ro"),
			},
		},
		{
			"EROFS layers and a disk to write on",
			[]Mount{rwlayer, erofs("/s/3"), {Type: "format/mkdir/overlay", Source: "overlay", Options: []string{
				"X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
				"workdir={{ mount 0 }}/work", "upperdir={{ mount 0 }}/upper", "lowerdir={{ mount 1 }}",
			}}},
			Root{
				GuestPath: guestRoot,
				Disks:     []Disk{{HostPath: "/s/9/rwlayer.img", FSType: "ext4", GuestMount: guestLayer + "0", MkfsSize: 67108864}, lower("/s/3", 1)},
				Overlay: overlayStorage([]string{mkdirs + guestLayer + "0/work", mkdirs + guestLayer + "0/upper"},
					"lowerdir="+guestLayer+"1", "upperdir="+guestLayer+"0/upper", "workdir="+guestLayer+"0/work"),
			},
		},
		{
			"a view of one layer",
			[]Mount{erofs("/s/3"), {Type: "format/bind", Source: "{{ mount 0 }}", Options: []string{"ro", "rbind"}}},
			Root{GuestPath: guestLayer + "0", Disks: []Disk{lower("/s/3", 0)}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := PlanRootfs("c1", c.rootfs, "/bundle/rootfs", Capabilities{DiskHotplug: true})
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got.Overlay, c.want.Overlay) {
				t.Errorf("overlay is %v, want %v", got.Overlay, c.want.Overlay)
			}
			got.Overlay, c.want.Overlay = nil, nil
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			_, err = PlanRootfs("c1", c.rootfs, "/bundle/rootfs", Capabilities{SharedFS: true})
			if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "disable_block_device_use") {
				t.Errorf("without disks: error %v", err)
			}
		})
	}
}

func TestPlanRootfsErrors(t *testing.T) {
	over := func(options ...string) []Mount {
		return []Mount{erofs("/s/1"), {Type: "format/overlay", Options: options}}
	}
	for _, c := range []struct {
		name   string
		rootfs []Mount
		is     func(error) bool
		says   string
	}{
		{"an unknown type", []Mount{{Type: "btrfs", Source: "/s"}}, errdefs.IsNotImplemented, `"btrfs"`},
		{"nydus", []Mount{{Type: "fuse.nydus-overlayfs", Source: "/s"}}, errdefs.IsNotImplemented, "supported are overlay, bind"},
		{"an unknown top", []Mount{erofs("/s/1"), {Type: "format/aufs"}}, errdefs.IsNotImplemented, "format/aufs"},
		{"an unknown layer", []Mount{{Type: "squashfs", Source: "/s"}, {Type: "format/overlay"}}, errdefs.IsNotImplemented, "squashfs"},
		{"a bind that makes directories", []Mount{erofs("/s/1"), {Type: "format/mkdir/bind", Source: "{{ mount 0 }}/upper"}}, errdefs.IsNotImplemented, "format/mkdir/bind"},
		{"a relative disk", []Mount{{Type: "ext4", Source: "s"}}, errdefs.IsInvalidArgument, `"s"`},
		{"mkfs without a size", []Mount{{Type: "mkfs/ext4", Source: "/s"}}, errdefs.IsInvalidArgument, "mkfs"},
		{"a size without mkfs", []Mount{{Type: "ext4", Source: "/s", Options: []string{"X-containerd.mkfs.size=5"}}}, errdefs.IsInvalidArgument, "mkfs"},
		{"a bad size", []Mount{{Type: "mkfs/ext4", Source: "/s", Options: []string{"X-containerd.mkfs.size=-5"}}}, errdefs.IsInvalidArgument, "-5"},
		{"another file system", []Mount{{Type: "mkfs/ext4", Source: "/s", Options: []string{"X-containerd.mkfs.fs=xfs"}}}, errdefs.IsNotImplemented, "xfs"},
		{"another mkfs option", []Mount{{Type: "mkfs/ext4", Source: "/s", Options: []string{"X-containerd.mkfs.uuid=1"}}}, errdefs.IsNotImplemented, "uuid"},
		{"an image over several files", []Mount{{Type: "erofs", Source: "/s", Options: []string{"device=/s/2"}}}, errdefs.IsNotImplemented, "device=/s/2"},
		{"no lowerdir", over("upperdir=/u", "workdir=/w"), errdefs.IsInvalidArgument, "lowerdir"},
		{"a lowerdir of the host", over("lowerdir=/host"), errdefs.IsNotImplemented, "/host"},
		{"a mount beyond", over("lowerdir={{ mount 1 }}"), errdefs.IsInvalidArgument, "beyond the 1"},
		{"a range beyond", over("lowerdir={{ overlay 0 4000000000 }}"), errdefs.IsInvalidArgument, "beyond the 1"},
		{"a huge number", over("lowerdir={{ mount 99999999999999999999 }}"), errdefs.IsInvalidArgument, "lowerdir"},
		{"half a range", over("lowerdir={{ overlay 0 }}"), errdefs.IsInvalidArgument, "lowerdir"},
		{"another template", over("lowerdir={{ source 0 }}"), errdefs.IsNotImplemented, "source"},
		{"an unknown option", over("lowerdir={{ mount 0 }}", "volatile"), errdefs.IsNotImplemented, "volatile"},
		{"mapped layers", over("lowerdir={{ mount 0 }}", "uidmap=0:1:2"), errdefs.IsNotImplemented, "hostUsers"},
		{"a mapped view", []Mount{erofs("/s/1"), {Type: "format/bind", Source: "{{ mount 0 }}", Options: []string{"gidmap=0:1:2", "ro"}}}, errdefs.IsNotImplemented, "gidmap"},
		{"a mapped disk", []Mount{{Type: "ext4", Source: "/s", Options: []string{"uidmap=0:1:2"}}}, errdefs.IsNotImplemented, "uidmap"},
		{"a template that was not announced", []Mount{erofs("/s/1"), {Type: "overlay", Options: []string{"lowerdir={{ mount 0 }}"}}}, errdefs.IsNotImplemented, "names no disk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := PlanRootfs("c1", c.rootfs, "/r", all)
			if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "container c1") {
				t.Errorf("error %v", err)
			}
		})
	}
	for _, id := range []string{"", ".", "..", "a/b", "a\x00", strings.Repeat("a", 201)} {
		if _, err := PlanRootfs(id, nil, "/r", all); !errdefs.IsInvalidArgument(err) {
			t.Errorf("id %q: error %v", id, err)
		}
	}
}

func TestRootStorages(t *testing.T) {
	root, err := PlanRootfs("c1", []Mount{erofs("/s/2"), erofs("/s/1"), {Type: "format/overlay", Options: []string{"lowerdir={{ overlay 0 1 }}"}}}, "/r", all)
	if err != nil {
		t.Fatal(err)
	}
	got, err := root.Storages(func(disk int) (string, error) { return fmt.Sprintf("0%d/00", disk), nil })
	if err != nil || len(got) != 3 || got[2].Driver != "overlayfs" {
		t.Fatalf("got %v, error %v", got, err)
	}
	want := &agentpb.Storage{Driver: "blk", Source: "01/00", Fstype: "erofs", Options: []string{"ro"}, MountPoint: guestLayer + "1"}
	if !proto.Equal(got[1], want) {
		t.Errorf("got %v, want %v", got[1], want)
	}
	if _, err := root.Storages(func(int) (string, error) { return "", errdefs.ErrUnavailable }); !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "/s/2") {
		t.Errorf("error %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
)

const scratchDir = "/run/kata-containers/sandbox/scratch"

func testStorages(t *testing.T, g *guestUser) {
	id := g.name()
	s := spec(id, "stat -c '%u %g %a' /scratch /local; echo data > /scratch/file; ls -l /dev/raw | cut -c1; echo $(cat /sys/block/*/dev); stat -c '%t:%T' /dev/raw; sleep 1000")
	s.Mounts = append(s.Mounts,
		&agentpb.Mount{Destination: "/scratch", Source: scratchDir, Type: "bind", Options: []string{"rbind"}},
		&agentpb.Mount{Destination: "/local", Source: "/run/kata-containers/sandbox/local", Type: "bind", Options: []string{"rbind"}},
		&agentpb.Mount{Destination: "/memory", Source: "/run/kata-containers/sandbox/memory", Type: "bind", Options: []string{"rbind"}},
	)
	s.Linux.Devices = []*agentpb.LinuxDevice{{Path: "/dev/raw", Type: "b", Major: 7, Minor: 77, FileMode: 0o660}}
	s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, &agentpb.LinuxDeviceCgroup{Allow: true, Type: "b", Major: 7, Minor: 77, Access: "r"})
	p := &process{id: id, exec: id}
	r := &agentpb.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: s, Storages: []*agentpb.Storage{
		overlay(id),
		{Driver: "blk", Source: scratchPCI, Fstype: "ext4", MountPoint: scratchDir, FsGroup: &agentpb.FSGroup{GroupId: 4321}},
		{Driver: "local", MountPoint: "/run/kata-containers/sandbox/local", Options: []string{"mode=0711"}},
		{Driver: "ephemeral", Source: "tmpfs", Fstype: "tmpfs", MountPoint: "/run/kata-containers/sandbox/memory", Options: []string{"size=1048576"}},
		{Driver: "blk", Source: rootfsPCI},
	}, Devices: []*agentpb.Device{{Type: "blk", Id: rootfsPCI, ContainerPath: "/dev/raw"}}}
	r.StdoutPort, p.stdout = g.stream(g.ctx, t)
	r.StderrPort, p.errs = g.stream(g.ctx, t)
	if _, err := g.agent.CreateContainer(g.ctx, r); err != nil {
		t.Fatal(err)
	}
	g.start(t, p)
	for _, want := range []string{"0 4321 2775", "0 0 711", "b"} {
		if line := readLine(t, p.stdout); line != want {
			t.Errorf("output %q, want %q", line, want)
		}
	}
	readLine(t, p.stdout)
	if line := readLine(t, p.stdout); !strings.HasPrefix(line, "f") {
		t.Errorf("the raw device is %q, not a virtio disk", line)
	}
	if out := g.output(t, p, nil, "head -c 1028 /dev/raw | tail -c 4 | od -An -tx1"); out != " e2 e1 f5 e0\n" {
		t.Errorf("the raw device does not hold the EROFS image: %q", out)
	}
	g.volume(t)

	if _, err := g.agent.UpdateEphemeralMounts(g.ctx, &agentpb.UpdateEphemeralMountsRequest{Storages: []*agentpb.Storage{
		{Driver: "ephemeral", Source: "tmpfs", Fstype: "tmpfs", MountPoint: "/run/kata-containers/sandbox/memory", Options: []string{"size=4194304"}},
	}}); err != nil {
		t.Error(err)
	}
	if out := g.output(t, p, nil, "df -k /memory | tail -1 | awk '{print $2}'"); out != "4096\n" {
		t.Errorf("the file system in memory has %q KiB", out)
	}
	if _, err := g.agent.RemoveContainer(g.ctx, &agentpb.RemoveContainerRequest{ContainerId: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.agent.ResizeVolume(g.ctx, &agentpb.ResizeVolumeRequest{VolumeGuestPath: scratchDir}); code(err) != notFound {
		t.Errorf("the scratch disk is still mounted: %v", err)
	}
	g.badStorages(t)
}

// volume grows the mounted scratch disk from 32 to 64 MiB.
func (g *guestUser) volume(t *testing.T) {
	t.Helper()
	size := func() uint64 {
		r, err := g.agent.GetVolumeStats(g.ctx, &agentpb.VolumeStatsRequest{VolumeGuestPath: scratchDir})
		if err != nil || len(r.Usage) != 2 || r.Usage[0].Unit != agentpb.VolumeUsage_BYTES {
			t.Fatalf("volume %v: %v", r, err)
		}
		return r.Usage[0].Total
	}
	before := size()
	if _, err := g.agent.ResizeVolume(g.ctx, &agentpb.ResizeVolumeRequest{VolumeGuestPath: scratchDir}); err != nil {
		t.Fatal(err)
	}
	if after := size(); after < before+20<<20 {
		t.Errorf("the volume has %d bytes after %d", after, before)
	}
}

// testHotplug asks for a disk before it is plugged in, and has it formatted.
func testHotplug(t *testing.T, g *guestUser) {
	id := g.name()
	made := make(chan error, 1)
	go func() {
		_, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: id, OCI: spec(id, "true"), Storages: []*agentpb.Storage{
			overlay(id),
			{Driver: "blk", Source: latePCI, Fstype: "ext4", MountPoint: scratchDir, DriverOptions: []string{"create_filesystem"}},
		}})
		made <- err
	}()
	g.waitOverlay(t, id) // the storage before the disk: what the call does next is to wait for that
	g.plug(t)
	if err := leaktest.Receive(t, made); err != nil {
		t.Fatal(err)
	}
	g.removeLater(t, id)
	r, err := g.agent.GetVolumeStats(g.ctx, &agentpb.VolumeStatsRequest{VolumeGuestPath: scratchDir})
	if err != nil || r.Usage[0].Total < 10<<20 {
		t.Errorf("volume %v: %v", r, err)
	}
}

// waitOverlay waits until the container's overlay is mounted. The agent has no call that waits for it, but one that tells
// a mount from a directory: the file system of this one cannot be resized.
func (g *guestUser) waitOverlay(t *testing.T, id string) {
	t.Helper()
	r := &agentpb.ResizeVolumeRequest{VolumeGuestPath: overlay(id).MountPoint}
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		_, err := g.agent.ResizeVolume(g.ctx, r)
		if code(err) == unimplemented {
			return
		}
		select {
		case <-time.After(wait):
		case <-g.ctx.Done():
			t.Fatalf("the overlay of %s is not mounted: %v", id, err)
		}
	}
}

func (g *guestUser) badStorages(t *testing.T) {
	t.Helper()
	for _, test := range []struct {
		storage *agentpb.Storage
		words   string
		waits   time.Duration // at least
	}{
		{&agentpb.Storage{Driver: "9p", MountPoint: "/run/x"}, `"9p"`, 0},
		{&agentpb.Storage{Driver: "blk", Source: "zz/00", Fstype: "ext4", MountPoint: "/run/x"}, "PCI path", 0},
		{&agentpb.Storage{Driver: "blk", Source: "07/00", Fstype: "ext4", MountPoint: "/run/x"}, "agent.hotplug_timeout", 3 * time.Second},
		{&agentpb.Storage{Driver: "blk", Source: rootfsPCI, Fstype: "ext4", MountPoint: "/run/x"}, "mount", 0},
	} {
		id, began := g.name(), time.Now()
		_, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: id, OCI: spec(id, "true"), Storages: []*agentpb.Storage{overlay(id), test.storage}})
		if err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("storage %v: %v", test.storage, err)
		}
		if took := time.Since(began); took < test.waits {
			t.Errorf("storage %v was waited for %s only", test.storage, took)
		}
		t.Log(err)
	}
}

func testFiles(t *testing.T, g *guestUser) {
	const base = "/run/kata-containers/shared/containers/files"
	put := func(path string, mode uint32, data string, offset, size int64) error {
		_, err := g.agent.CopyFile(g.ctx, &agentpb.CopyFileRequest{Path: path, FileMode: mode, DirMode: 0o751, FileSize: size, Offset: offset, Data: []byte(data), Uid: 7, Gid: 8})
		return err
	}
	for i, err := range []error{
		put(base+"/sub/a.json", unix.S_IFREG|0o644, "hello ", 0, 11),
		put(base+"/sub/a.yaml", unix.S_IFREG|0o644, "other", 0, 5),
		put(base+"/sub/a.json", unix.S_IFREG|0o644, "world", 6, 11),
		put(base+"/dir", unix.S_IFDIR|0o711, "", 0, 0),
		put(base+"/link", unix.S_IFLNK|0o777, "/etc", 0, 4),
	} {
		if err != nil {
			t.Errorf("file %d: %v", i, err)
		}
	}
	for _, path := range []string{"/etc/passwd", base + "/../../../../../etc/x", "/run/kata-containers", "relative"} {
		if err := put(path, unix.S_IFREG|0o644, "x", 0, 1); code(err) != invalidArgument {
			t.Errorf("%s: %v", path, err)
		}
	}
	id := g.name()
	s := spec(id, "cd /files; cat sub/a.json sub/a.yaml; echo; stat -c '%n %a %u:%g' sub sub/a.json dir; readlink link; echo -n bye > /dev/termination-log")
	s.Mounts = append(s.Mounts, &agentpb.Mount{Destination: "/files", Source: base, Type: "bind", Options: []string{"rbind", "ro"}})
	p := g.create(t, id, s)
	g.start(t, p)
	want := "hello worldother\nsub 751 7:8\nsub/a.json 644 7:8\ndir 711 7:8\n/etc\n"
	if out := read(t, p.stdout); out != want {
		t.Errorf("files %q, want %q (%s)", out, want, read(t, p.errs))
	}
	g.wait(t, p)
	r, err := g.agent.GetDiagnosticData(g.ctx, &agentpb.GetDiagnosticDataRequest{LogType: "termination_log", ContainerId: id})
	// The container's /dev is a file system of its own and gone with it.
	if err != nil || r.Data != "" {
		t.Errorf("termination message %v: %v", r, err)
	}
	if _, err := g.agent.RemoveStaleVirtiofsShareMounts(g.ctx, &agentpb.RemoveStaleVirtiofsShareMountsRequest{}); err != nil {
		t.Error(fmt.Errorf("stale mounts: %w", err))
	}
}

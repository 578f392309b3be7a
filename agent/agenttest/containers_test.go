// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/katapod/katapod/protocols/agentpb"
)

// guestUser is a test's hold on a running guest.
type guestUser struct {
	*machine
	ctx context.Context
	n   int
}

func TestAgent(t *testing.T) {
	m := boot(t)
	ctx, cancel := context.WithTimeout(context.Background(), 110*time.Second)
	defer cancel()
	g := &guestUser{machine: m, ctx: ctx}
	if _, err := m.agent.CreateSandbox(ctx, &agentpb.CreateSandboxRequest{
		SandboxId: "pod", Hostname: "podname", Dns: []string{"nameserver 192.0.2.1"},
		Storages: []*agentpb.Storage{
			{Driver: "ephemeral", Source: "shm", Fstype: "tmpfs", MountPoint: "/run/kata-containers/sandbox/shm", Options: []string{"noexec", "nosuid", "nodev", "mode=1777", "size=16777216"}},
			{Driver: "blk", Source: rootfsPCI, Fstype: "erofs", Options: []string{"ro"}, MountPoint: "/run/kata-containers/sandbox/layer", Shared: true},
		},
	}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *guestUser)
	}{
		{"container prints and exits", testPrint},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, g) })
	}
}

// spec returns the specification of a container that runs a shell script.
func spec(id, script string) *agentpb.Spec {
	caps := []string{"CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"}
	return &agentpb.Spec{
		Version: "1.3.0",
		Process: &agentpb.Process{
			User: &agentpb.User{}, Cwd: "/", Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/bin"},
			Capabilities: &agentpb.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Root: &agentpb.Root{Path: "/run/kata-containers/" + id + "/rootfs"},
		Mounts: []*agentpb.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev/shm", Type: "bind", Source: "/run/kata-containers/sandbox/shm", Options: []string{"rbind"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
		},
		Linux: &agentpb.Linux{
			CgroupsPath: "/kubepods/pod1/" + id,
			Namespaces: []*agentpb.LinuxNamespace{
				{Type: "pid"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}, {Type: "network"},
			},
			Resources: &agentpb.LinuxResources{
				Devices: []*agentpb.LinuxDeviceCgroup{{Allow: false, Access: "rwm", Major: -1, Minor: -1}},
				Memory:  &agentpb.LinuxMemory{Limit: 64 << 20},
				CPU:     &agentpb.LinuxCPU{Shares: 512},
				Pids:    &agentpb.LinuxPids{Limit: 100},
			},
		},
	}
}

// overlay returns the storage of a container's root file system.
func overlay(id string) *agentpb.Storage {
	base := "/run/kata-containers/" + id
	const mkdir = "io.katacontainers.volume.overlayfs.create_directory="
	return &agentpb.Storage{
		Driver: "overlayfs", Source: "overlay", Fstype: "overlay", MountPoint: base + "/rootfs",
		DriverOptions: []string{mkdir + base + "/up/fs", mkdir + base + "/up/work"},
		Options:       []string{"lowerdir=/run/kata-containers/sandbox/layer", "upperdir=" + base + "/up/fs", "workdir=" + base + "/up/work"},
	}
}

// process is a process with its streams.
type process struct {
	id, exec            string
	stdin, stdout, errs net.Conn
}

// create makes a container with streams of its own, not started.
func (g *guestUser) create(t *testing.T, id string, s *agentpb.Spec) *process {
	t.Helper()
	p := &process{id: id, exec: id}
	r := &agentpb.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: s, Storages: []*agentpb.Storage{overlay(id)}}
	r.StdinPort, p.stdin = g.stream(g.ctx, t)
	r.StdoutPort, p.stdout = g.stream(g.ctx, t)
	if !s.Process.Terminal {
		r.StderrPort, p.errs = g.stream(g.ctx, t)
	}
	if _, err := g.agent.CreateContainer(g.ctx, r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := g.agent.RemoveContainer(g.ctx, &agentpb.RemoveContainerRequest{ContainerId: id}); err != nil {
			t.Errorf("remove %s: %v", id, err)
		}
	})
	return p
}

func (g *guestUser) start(t *testing.T, p *process) {
	t.Helper()
	if _, err := g.agent.StartContainer(g.ctx, &agentpb.StartContainerRequest{ContainerId: p.id}); err != nil {
		t.Fatal(err)
	}
}

// run makes and starts a container with a script.
func (g *guestUser) run(t *testing.T, script string) *process {
	t.Helper()
	id := g.name()
	p := g.create(t, id, spec(id, script))
	g.start(t, p)
	return p
}

func (g *guestUser) name() string {
	g.n++
	return fmt.Sprintf("c%d", g.n)
}

func (g *guestUser) wait(t *testing.T, p *process) int {
	t.Helper()
	r, err := g.agent.WaitProcess(g.ctx, &agentpb.WaitProcessRequest{ContainerId: p.id, ExecId: p.exec})
	if err != nil {
		t.Fatal(err)
	}
	return int(r.Status)
}

func read(t *testing.T, from net.Conn) string {
	t.Helper()
	data, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func testPrint(t *testing.T, g *guestUser) {
	p := g.run(t, "echo out; echo err >&2; hostname; exit 7")
	if out := read(t, p.stdout); out != "out\npodname\n" {
		t.Errorf("stdout %q", out)
	}
	if out := read(t, p.errs); out != "err\n" {
		t.Errorf("stderr %q", out)
	}
	if status := g.wait(t, p); status != 7 {
		t.Errorf("exit code %d", status)
	}
}

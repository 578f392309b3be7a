// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/katapod/katapod/protocols/agentpb"
)

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

// create makes a container with streams of its own, not started, and removes it
// with the test.
func (g *guestUser) create(t *testing.T, id string, s *agentpb.Spec) *process {
	t.Helper()
	p := g.createOnly(t, id, s)
	g.removeLater(t, id)
	return p
}

func (g *guestUser) removeLater(t *testing.T, id string) {
	t.Cleanup(func() {
		if _, err := g.agent.RemoveContainer(g.ctx, &agentpb.RemoveContainerRequest{ContainerId: id, Timeout: 120}); err != nil {
			t.Errorf("remove %s: %v", id, err)
		}
	})
}

// createOnly is create for those who remove the container themselves.
func (g *guestUser) createOnly(t *testing.T, id string, s *agentpb.Spec) *process {
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
	return p
}

// exec starts another process with streams of its own.
func (g *guestUser) exec(t *testing.T, in *process, edit func(*agentpb.Process), args ...string) *process {
	t.Helper()
	p := &process{id: in.id, exec: g.name()}
	spec := &agentpb.Process{Cwd: "/", Args: args, Env: []string{"PATH=/bin"}, User: &agentpb.User{}}
	if edit != nil {
		edit(spec)
	}
	r := &agentpb.ExecProcessRequest{ContainerId: p.id, ExecId: p.exec, Process: spec}
	r.StdinPort, p.stdin = g.stream(g.ctx, t)
	r.StdoutPort, p.stdout = g.stream(g.ctx, t)
	if !spec.Terminal {
		r.StderrPort, p.errs = g.stream(g.ctx, t)
	}
	if _, err := g.agent.ExecProcess(g.ctx, r); err != nil {
		t.Fatal(err)
	}
	return p
}

// output runs a shell script by exec and returns what it prints.
func (g *guestUser) output(t *testing.T, in *process, edit func(*agentpb.Process), script string) string {
	t.Helper()
	p := g.exec(t, in, edit, "/bin/sh", "-c", script)
	out := read(t, p.stdout)
	if status := g.wait(t, p); status != 0 {
		t.Errorf("%s: exit code %d, %s", script, status, read(t, p.errs))
	}
	return out
}

func (g *guestUser) signal(t *testing.T, p *process, sig uint32) {
	t.Helper()
	if _, err := g.agent.SignalProcess(g.ctx, &agentpb.SignalProcessRequest{ContainerId: p.id, ExecId: p.exec, Signal: sig}); err != nil {
		t.Fatal(err)
	}
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
	_ = from.SetReadDeadline(time.Now().Add(patience))
	data, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// readLine reads one line of an output that goes on.
func readLine(t *testing.T, from net.Conn) string {
	t.Helper()
	_ = from.SetReadDeadline(time.Now().Add(patience))
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(from, b); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
		if b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r")
		}
		line = append(line, b[0])
	}
}

// The gRPC codes that the tests expect.
const (
	invalidArgument    = codes.InvalidArgument
	notFound           = codes.NotFound
	alreadyExists      = codes.AlreadyExists
	failedPrecondition = codes.FailedPrecondition
	unimplemented      = codes.Unimplemented
)

func code(err error) codes.Code { return status.Code(err) }

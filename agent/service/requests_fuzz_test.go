// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/agent/container"
	"github.com/katapod/katapod/agent/oom"
	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/agent/sandboxns"
	"github.com/katapod/katapod/agent/storage"
	"github.com/katapod/katapod/agent/streams"
	"github.com/katapod/katapod/protocols/agentpb"
)

// FuzzRequests has a container made, executes in it, changes its limits and
// removes it, with requests as the bytes have them. Every call succeeds or fails
// with a gRPC code, in bounded time; what reaches the OCI runtime is a bundle that
// it can work with and that is confined; and after the removal, or a creation that
// failed, no file, mount, name, goroutine or descriptor is left.
func FuzzRequests(f *testing.F) {
	encode := func(m proto.Message) []byte {
		out, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return out
	}
	spec := &agentpb.Spec{
		Process: &agentpb.Process{Args: []string{"true"}, Env: []string{"A=b"}, Cwd: "/"}, Root: &agentpb.Root{Path: "/run/x"},
		Mounts: []*agentpb.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux:  &agentpb.Linux{Namespaces: []*agentpb.LinuxNamespace{{Type: "pid", Path: "/proc/1/ns/pid"}, {Type: "user"}, {Type: "network"}}},
	}
	good := encode(&agentpb.CreateContainerRequest{ContainerId: "c", ExecId: "c", OCI: spec})
	exec := encode(&agentpb.ExecProcessRequest{ContainerId: "c", ExecId: "e", Process: spec.Process, StringUser: &agentpb.StringUser{Uid: "1", Gid: "x"}})
	update := encode(&agentpb.UpdateContainerRequest{ContainerId: "c", Resources: &agentpb.LinuxResources{
		Memory: &agentpb.LinuxMemory{Limit: -1, Swappiness: 1 << 40}, CPU: &agentpb.LinuxCPU{Cpus: "0-9999999"}, Pids: &agentpb.LinuxPids{Limit: -5},
	}})
	f.Add(good, exec, update)
	for _, r := range []*agentpb.CreateContainerRequest{
		{}, {ContainerId: ".."}, {ContainerId: "c", OCI: &agentpb.Spec{Root: &agentpb.Root{Path: "x"}, Process: spec.Process}},
		{ContainerId: "c", OCI: spec, Storages: []*agentpb.Storage{{Driver: "odd", MountPoint: "/etc"}}},
		{ContainerId: "c", OCI: spec, Devices: []*agentpb.Device{{Type: "odd", ContainerPath: "/dev/x"}}, StringUser: &agentpb.StringUser{Uid: "root"}},
		{ContainerId: "c", OCI: spec, SharedMounts: []*agentpb.SharedMount{{}}},
	} {
		f.Add(encode(r), exec, update)
	}
	f.Fuzz(func(t *testing.T, create, exec, update []byte) {
		var c agentpb.CreateContainerRequest
		var e agentpb.ExecProcessRequest
		var u agentpb.UpdateContainerRequest
		if proto.Unmarshal(create, &c) != nil || proto.Unmarshal(exec, &e) != nil || proto.Unmarshal(update, &u) != nil {
			return
		}
		g := newGuest(t)
		g.tame(&c, &e)
		before := held(t)
		_, err := bounded(t, g.CreateContainer, &c)
		if err != nil && slices.Contains(g.files(), c.ContainerId) && c.ContainerId != "" {
			t.Errorf("a container that was not made (%v) leaves %v", err, g.files())
		}
		e.ContainerId, u.ContainerId = c.ContainerId, c.ContainerId
		_, _ = bounded(t, g.ExecProcess, &e)
		_, _ = bounded(t, g.StartContainer, &agentpb.StartContainerRequest{ContainerId: c.ContainerId})
		_, _ = bounded(t, g.ExecProcess, &e)
		_, _ = bounded(t, g.UpdateContainer, &u)
		_, removal := bounded(t, g.RemoveContainer, &agentpb.RemoveContainerRequest{ContainerId: c.ContainerId, Timeout: 5})
		if (err == nil) != (removal == nil) {
			t.Errorf("the creation gave %v, the removal %v", err, removal)
		}
		g.expectEmpty(before)
	})
}

// bounded makes a call as ttrpc does, and wants an answer.
func bounded[Req, Resp any](t *testing.T, call func(context.Context, Req) (Resp, error), r Req) (out Resp, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err = call(ctx, r)
	if code := status.Code(toStatus(err)); code == codes.Internal || code == codes.Unknown || code == codes.DeadlineExceeded {
		t.Errorf("%T: %v: %v", r, code, err)
	}
	return out, err
}

// patience is longer than a call takes on a machine that is busy, and shorter than the
// 10 s after which a fuzz worker ends without a word.
const patience = 8 * time.Second

// fuzzGuest is a guest in a directory, whose OCI runtime looks at bundles and
// runs nothing.
type fuzzGuest struct {
	*Service
	t       *testing.T
	runtime *lookingRuntime
}

func newGuest(t *testing.T) *fuzzGuest {
	t.Helper()
	dir := t.TempDir()
	watcher, err := oom.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go watcher.Run(ctx)
	t.Cleanup(cancel)
	paths := Paths{Run: filepath.Join(dir, "run"), Cgroups: filepath.Join(dir, "cgroup"), CgroupParent: "/katapod"}
	if err := os.MkdirAll(paths.Run, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &lookingRuntime{t: t, cgroups: filepath.Join(paths.Cgroups, paths.CgroupParent), exits: map[string]chan reaper.Exit{}}
	s := New(Parts{Paths: paths, Runtime: r, Streams: streams.New(), Storage: storage.New(nil, nil), OOM: watcher})
	s.pod = &pod{hostname: "web", namespaces: &sandboxns.Namespaces{}}
	return &fuzzGuest{s, t, r}
}

// tame takes out of a request what would change this machine: storages and devices
// that exist, kernel parameters, the anchor of a PID namespace, and streams that
// nobody connects.
func (g *fuzzGuest) tame(c *agentpb.CreateContainerRequest, e *agentpb.ExecProcessRequest) {
	c.Storages = slices.DeleteFunc(c.Storages, func(s *agentpb.Storage) bool { return slices.Contains(g.Storage.Drivers(), s.GetDriver()) })
	c.Devices = slices.DeleteFunc(c.Devices, func(d *agentpb.Device) bool { return slices.Contains(storage.DeviceTypes(), d.GetType()) })
	c.SandboxPidns = false
	if c.OCI.GetLinux() != nil {
		c.OCI.Linux.Sysctl = nil
	}
	c.StdinPort, c.StdoutPort, c.StderrPort = 0, 0, 0
	e.StdinPort, e.StdoutPort, e.StderrPort = 0, 0, 0
}

func (g *fuzzGuest) files() []string {
	entries, err := os.ReadDir(g.Paths.Run)
	if err != nil {
		g.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (g *fuzzGuest) expectEmpty(before [2]int) {
	if len(g.files()) > 0 || len(g.containers.All()) > 0 || g.containers.Reserve("c") != nil {
		g.t.Errorf("left are %v, %v", g.files(), g.containers.All())
	}
	deadline := time.Now().Add(patience)
	for wait := time.Millisecond; ; wait *= 2 {
		now := held(g.t)
		if now[0] <= before[0] && now[1] <= before[1] {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			g.t.Fatalf("goroutines and files before %v, now %v\n%s", before, now, stacks[:runtime.Stack(stacks, true)])
		}
		<-time.After(wait) // nothing tells of the end of a goroutine
	}
}

// held counts goroutines and open files.
func held(t *testing.T) [2]int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return [2]int{runtime.NumGoroutine(), len(files)}
}

// lookingRuntime looks at what it is given. Its processes have a PID that no
// process can have (proc(5): at most 2^22), so that nobody is signalled.
type lookingRuntime struct {
	t       *testing.T
	cgroups string

	mu    sync.Mutex
	exits map[string]chan reaper.Exit
}

const noPID = 1<<22 + 1

func (r *lookingRuntime) Create(_ context.Context, id, bundle string, files container.Files) (container.Started, error) {
	text, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return container.Started{}, err
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		r.t.Errorf("the bundle's configuration: %v", err)
		return container.Started{}, fmt.Errorf("not JSON: %w", errdefs.ErrInvalidArgument)
	}
	r.look(id, &spec)
	dir := filepath.Join(r.cgroups, id)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "memory.events"), nil, 0o600)); err != nil {
		return container.Started{}, err
	}
	exit := make(chan reaper.Exit, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exits[id] = exit
	return started(exit, files)
}

// look checks that the container is confined and in its place.
func (r *lookingRuntime) look(id string, s *specs.Spec) {
	kinds := map[specs.LinuxNamespaceType]int{}
	for _, n := range s.Linux.Namespaces {
		kinds[n.Type]++
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.CgroupNamespace} {
		if kinds[kind] != 1 {
			r.t.Errorf("%d namespaces of kind %s", kinds[kind], kind)
		}
	}
	if s.Linux.CgroupsPath != "/katapod/"+id || !filepath.IsAbs(s.Root.Path) || len(s.Process.Args) == 0 || len(s.Linux.Sysctl) > 0 {
		r.t.Errorf("the cgroup is %q, the root %q, the arguments %q", s.Linux.CgroupsPath, s.Root.Path, s.Process.Args)
	}
}

func started(exit chan reaper.Exit, files container.Files) (container.Started, error) {
	s := container.Started{PID: noPID, Exit: exit}
	if !files.Terminal {
		return s, nil
	}
	var err error
	s.Terminal, err = os.Open(os.DevNull)
	return s, err
}

func (r *lookingRuntime) Start(context.Context, string, string) error { return nil }

// Exec runs a process that ends at once.
func (r *lookingRuntime) Exec(_ context.Context, _, _ string, p *specs.Process, files container.Files) (container.Started, error) {
	if len(p.Args) == 0 {
		r.t.Error("a process without arguments")
	}
	exit := make(chan reaper.Exit, 1)
	exit <- reaper.Exit{}
	return started(exit, files)
}

func (r *lookingRuntime) Update(_ context.Context, _, _ string, l *specs.LinuxResources) error {
	_, err := json.Marshal(l)
	return err
}

func (r *lookingRuntime) Delete(_ context.Context, id, _ string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if exit, found := r.exits[id]; found {
		exit <- reaper.Exit{Status: 137}
		delete(r.exits, id)
	}
	return os.RemoveAll(filepath.Join(r.cgroups, id))
}

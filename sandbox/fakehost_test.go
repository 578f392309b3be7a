// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/storage"
)

// fakeHost is a host that remembers what there is on it.
type fakeHost struct {
	mu     sync.Mutex
	things map[string]bool
	fail   map[string]error // by the first word of a thing
	state  network.State
	share  *fakeShare
	vhost  []*os.File
	limits hostcgroup.Limits // what the pod's group was last updated to
	// covered are the memory limits that the pod's group was made with and updated to.
	covered []int64
	served  ShareConfig
	// oomKills is what the pod's group says of the host's kernel.
	oomKills uint64
	// changed tells a watcher of the namespace.
	changed chan struct{}
	// steered has the address of a loopback that is steered.
	steered chan string
	claims  string // of users
}

func newFakeHost(t *testing.T) *fakeHost {
	return &fakeHost{claims: t.TempDir(), things: map[string]bool{}, fail: map[string]error{}, state: oneEndpoint(), steered: make(chan string, 1), changed: make(chan struct{}, 1)}
}

// make adds a thing.
func (h *fakeHost) make(kind, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fail[kind]; err != nil {
		return err
	}
	h.things[kind+" "+name] = true
	return nil
}

// failAt makes things of a kind impossible, until it is called with nil.
func (h *fakeHost) failAt(kind string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail[kind] = err
}

func (h *fakeHost) remove(kind, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.things, kind+" "+name)
	return nil
}

// left lists what is there.
func (h *fakeHost) left() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.things))
}

func (h *fakeHost) setState(s network.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = s
}

func (h *fakeHost) drivers(vm *fakeVM) Drivers {
	return Drivers{
		Check:      func(config.Config) error { return h.make("check", "") },
		UserClaims: h.claims,
		NewVM:      vm.create,
		NewCgroup: func(path string, l hostcgroup.Limits) (Cgroup, error) {
			h.covered = append(h.covered, l.MemoryBytes)
			return fakeCgroup{h}, h.make("cgroup", path)
		},
		RemoveCgroup: func(_ context.Context, path string) error { return h.remove("cgroup", path) },
		KillCgroup:   func(string) error { return nil },
		Network:      fakeNetwork{h},
		OpenVhostNet: func(queues int) ([]*os.File, error) {
			files, err := openEach(os.DevNull, queues)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.vhost = append(h.vhost, files...)
			return files, errors.Join(err, h.fail["vhost"])
		},
		StartShare: func(_ context.Context, c ShareConfig) (ShareDaemon, error) {
			if err := h.make("share", c.Dir); err != nil {
				return nil, err
			}
			h.served = c
			h.share = &fakeShare{host: h, dir: c.Dir, done: make(chan struct{})}
			if err := c.Spawned(os.Getppid()); err != nil {
				h.share.end(err)
				return nil, err
			}
			return h.share, nil
		},
		Mounts:      fakeMounts{h},
		Facts:       storage.Host{},
		Mkfs:        func(_ context.Context, _, path string) error { return h.make("mkfs", path) },
		KillProcess: func(_ context.Context, _, _ string) error { return nil },
		Host:        func() (int, int, error) { return 2, 4096, nil },
	}
}

type fakeCgroup struct{ h *fakeHost }

func (c fakeCgroup) Add(int) error {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return c.h.fail["join"]
}
func (fakeCgroup) Stat() (hostcgroup.Stats, error) { return hostcgroup.Stats{}, nil }
func (c fakeCgroup) Update(l hostcgroup.Limits) error {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.h.limits = l
	if l.MemoryBytes != 0 {
		c.h.covered = append(c.h.covered, l.MemoryBytes)
	}
	return c.h.fail["limits"]
}
func (c fakeCgroup) OOMKills() (uint64, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return c.h.oomKills, nil
}

type fakeNetwork struct{ h *fakeHost }

func (n fakeNetwork) Create(path string) error { return n.h.make("netns", path) }
func (n fakeNetwork) Remove(path string) error { return n.h.remove("netns", path) }

func (n fakeNetwork) Scan(string) (network.State, error) {
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	state := n.h.state
	for thing := range n.h.things {
		if kind, path, _ := strings.Cut(thing, " "); kind == "tap" {
			state.Taps = append(slices.Clone(state.Taps), path[strings.LastIndex(path, "tap"):])
		}
	}
	return state, n.h.fail["scan"]
}

func (n fakeNetwork) Connect(path, tap string, _ network.Endpoint, _ int) ([]*os.File, error) {
	if err := n.h.make("tap", path+tap); err != nil {
		return nil, err
	}
	f, err := os.Open(os.DevNull)
	return []*os.File{f}, err
}

// Dial reaches a name server that answers with what it was asked, backwards.
func (n fakeNetwork) Dial(_ context.Context, path, transport string, to netip.AddrPort) (net.Conn, error) {
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	if err := n.h.fail["dial"]; err != nil || to.String() != "127.0.0.11:53" {
		return nil, errors.Join(err, fmt.Errorf("dialled %s", to))
	}
	near, far := net.Pipe()
	go answerBackwards(far, transport == "tcp")
	return near, nil
}

func (n fakeNetwork) Watch(string) (NetworkChanges, error) {
	return &fakeChanges{told: n.h.changed, over: make(chan struct{})}, nil
}

// fakeChanges are told by the test.
type fakeChanges struct {
	told chan struct{}
	once sync.Once
	over chan struct{}
}

func (c *fakeChanges) Wait() error {
	select {
	case <-c.told:
		return nil
	case <-c.over:
		return os.ErrClosed
	}
}

func (c *fakeChanges) Close() error {
	c.once.Do(func() { close(c.over) })
	return nil
}

func (n fakeNetwork) Disconnect(path, tap, _ string) error { return n.h.remove("tap", path+tap) }

type fakeShare struct {
	host *fakeHost
	dir  string
	once sync.Once
	done chan struct{}
	err  error
}

func (s *fakeShare) Done() <-chan struct{} { return s.done }
func (s *fakeShare) Exit() error           { return s.err }

func (s *fakeShare) Stop(context.Context) error {
	s.end(nil)
	return nil
}

func (s *fakeShare) end(err error) {
	s.once.Do(func() {
		s.err = err
		_ = s.host.remove("share", s.dir)
		close(s.done)
	})
}

type fakeMounts struct{ h *fakeHost }

func (m fakeMounts) Share(dir string) error                         { return m.h.make("mount", dir) }
func (m fakeMounts) Mount(_ storage.HostMount, target string) error { return m.h.make("mount", target) }
func (m fakeMounts) Bind(_ storage.Share, target string) error {
	return m.h.make("mount", target)
}
func (m fakeMounts) Unmount(target string) error { return m.h.remove("mount", target) }

// oneEndpoint is the namespace that a bridge plug-in leaves.
func oneEndpoint() network.State {
	return network.State{
		Endpoints: []network.Endpoint{{
			Index: 2, Name: "eth0", Kind: "veth", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1450,
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24"), netip.MustParsePrefix("fd00::3/64")},
		}},
		Routes: []network.Route{
			{Family: unix.AF_INET, Gateway: netip.MustParseAddr("10.1.2.1"), Device: "eth0"},
			{Family: unix.AF_INET6, Destination: netip.MustParsePrefix("fd00::/64"), Device: "eth0", Scope: 253, MTU: 1400},
		},
		Neighbors: []network.Neighbor{{Address: netip.MustParseAddr("10.1.2.1"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, Device: "eth0", State: unix.NUD_PERMANENT}},
	}
}

// fixture is a pod over fakes.
type fixture struct {
	t     *testing.T
	host  *fakeHost
	agent *fakeAgent
	vm    *fakeVM
	pod   *Sandbox
	// cancel ends the context of the start.
	cancel context.CancelFunc
}

func newFixture(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, host: newFakeHost(t), agent: newFakeAgent()}
	f.vm = &fakeVM{agent: f.agent}
	o := Options{ID: "pod1", Namespace: "test", Bundle: t.TempDir(), NetNS: "/run/netns/test", CgroupPath: "/test/pod1", Config: config.Default()}
	o.Config.Runtime.StateDir = t.TempDir()
	// The second is the only one for pods.
	o.Config.Hypervisor.VMMUsers = "1900000000-1900000001"
	for _, c := range change {
		c(&o)
	}
	var err error
	if f.pod, err = New(o, f.host.drivers(f.vm)); err != nil {
		t.Fatal(err)
	}
	f.pod.patience = 50 * time.Millisecond // a fake VM that ends does so at once
	t.Cleanup(f.finish)
	return f
}

// sharesSoon has a pod make its share with its VM.
func sharesSoon(o *Options) { o.SharesSoon = true }

// startedFixture is a pod that runs.
func startedFixture(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	f := newFixture(t, change...)
	if err := f.pod.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return f
}

// finish stops the pod and checks that nothing of it is left anywhere.
func (f *fixture) finish() {
	f.t.Helper()
	if err := f.pod.Stop(context.Background()); err != nil {
		f.t.Error(err)
	}
	f.clean()
	f.agent.endOnce.Do(func() { close(f.agent.ended) })
	f.agent.stop()
	f.noGoroutines()
}

// clean checks that nothing is left on the host.
func (f *fixture) clean() {
	f.t.Helper()
	_ = f.host.remove("check", "")
	if left := f.host.left(); len(left) > 0 {
		f.t.Errorf("left on the host: %q", left)
	}
	stateDir := f.pod.options.Config.Runtime.StateDir
	err := filepath.WalkDir(stateDir, func(path string, d os.DirEntry, err error) error {
		switch rel, _ := filepath.Rel(stateDir, path); {
		case err != nil:
			return err
		case rel == "failures":
			return filepath.SkipDir // they stay, a few of them
		case rel == "." || rel == "sbs" || rel == "vm":
			return nil
		}
		return fmt.Errorf("%s is left", path)
	})
	if err != nil {
		f.t.Error(err)
	}
}

// noGoroutines checks that none of the pod's goroutines is left.
func (f *fixture) noGoroutines() {
	f.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		left := podGoroutines()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			f.t.Errorf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
			return
		}
		time.Sleep(time.Millisecond) // nothing tells of the end of a goroutine
	}
}

// podGoroutines are the stacks of goroutines that code of the pod began.
func podGoroutines() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var left []string
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		text := string(stack)
		if strings.Contains(text, "created by github.com/katapod/katapod/sandbox.(") ||
			strings.Contains(text, "created by github.com/katapod/katapod/sandbox.ask") ||
			strings.Contains(text, "created by github.com/containerd/ttrpc") {
			left = append(left, text)
		}
	}
	return left
}

// container makes a container that does what args say.
func (f *fixture) container(id string, args ...string) *Container {
	f.t.Helper()
	c, err := f.pod.CreateContainer(context.Background(), containerOptions(id, args...))
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// running makes a container and starts it.
func (f *fixture) running(id string, args ...string) *Container {
	f.t.Helper()
	c := f.container(id, args...)
	if err := c.Start(context.Background()); err != nil {
		f.t.Fatal(err)
	}
	return c
}

func containerOptions(id string, args ...string) ContainerOptions {
	namespaces := []specs.LinuxNamespace{{Type: "network"}, {Type: "pid"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}}
	return ContainerOptions{
		ID: id, Bundle: "/bundle/" + id, Stdin: true, Stdout: true,
		Spec: &specs.Spec{
			Version: specs.Version,
			Root:    &specs.Root{Path: "rootfs"},
			Process: &specs.Process{Args: args, Cwd: "/"},
			Linux:   &specs.Linux{Namespaces: namespaces},
		},
		Rootfs: []storage.Mount{{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/a:/b"}}},
	}
}

// wait returns the exit code of a process that ends soon.
func wait(t *testing.T, p *Process) int {
	t.Helper()
	await(t, p.Done(), "the end of "+p.String())
	code, at := p.ExitStatus()
	if at.IsZero() {
		t.Errorf("%s ended at no time", p)
	}
	return code
}

// await waits for an event that is to come soon.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(2 * time.Minute):
		buf := make([]byte, 1<<18)
		t.Fatalf("%s did not come\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// wantIs checks an error's sentinel.
func wantIs(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/protocols/transport"
)

// agent answers what a builder asks.
type agent struct {
	agentpb.AgentServiceService
	mu    sync.Mutex
	calls []string
	sick  error
}

func (a *agent) note(call string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
	return a.sick
}

func (a *agent) Check(context.Context, *agentpb.CheckRequest) (*agentpb.HealthCheckResponse, error) {
	return &agentpb.HealthCheckResponse{}, a.note("Check")
}

func (a *agent) Version(context.Context, *agentpb.CheckRequest) (*agentpb.VersionCheckResponse, error) {
	return &agentpb.VersionCheckResponse{}, a.note("Version")
}

func (a *agent) GetGuestDetails(context.Context, *agentpb.GuestDetailsRequest) (*agentpb.GuestDetailsResponse, error) {
	return &agentpb.GuestDetailsResponse{}, a.note("GetGuestDetails")
}

func (a *agent) SetGuestDateTime(context.Context, *agentpb.SetGuestDateTimeRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, a.note("SetGuestDateTime")
}

func (a *agent) ReseedRandomDev(context.Context, *agentpb.ReseedRandomDevRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, a.note("ReseedRandomDev")
}

func (a *agent) serve(conn net.Conn) {
	server, err := ttrpc.NewServer()
	if err != nil {
		return
	}
	agentpb.RegisterAgentServiceService(server, a)
	agentpb.RegisterHealthService(server, a)
	one := make(oneConn, 1)
	ended := endingConn{Conn: conn, end: sync.OnceFunc(func() { _ = server.Close() })}
	one <- ended
	_ = server.Serve(context.Background(), one)
}

// endingConn tells of its end. The server itself does not take that of a connection
// that was closed on this side for one.
type endingConn struct {
	net.Conn
	end func()
}

func (c endingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end()
	}
	return n, err
}

// oneConn is a listener with one connection.
type oneConn chan net.Conn

func (o oneConn) Accept() (net.Conn, error) {
	conn, open := <-o
	if !open {
		return nil, net.ErrClosed
	}
	close(o)
	return conn, nil
}
func (oneConn) Close() error   { return nil }
func (oneConn) Addr() net.Addr { return transport.Addr{} }

// fixture is a store in a directory of its own, and a builder with a fake VMM.
type fixture struct {
	Builder
	agent *agent
	// made are the VMs that were asked for.
	made []*fake.VM
	// change prepares each.
	change func(*fake.VM)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{agent: &agent{}, change: func(*fake.VM) {}}
	f.Builder = Builder{
		Store:  Store{Dir: filepath.Join(dir, "templates")},
		Config: hypervisor.Config{ID: "pod", Binary: text(t, dir, "vmm"), Kernel: text(t, dir, "kernel"), Image: text(t, dir, "image"), VCPUs: 1, MemoryMiB: 1},
		Settle: time.Millisecond,
	}
	f.NewVM = func(c hypervisor.Config) (hypervisor.VM, error) {
		vm := fake.New(c)
		vm.Handle(transport.PortAgent, f.agent.serve)
		f.change(vm)
		f.made = append(f.made, vm)
		return vm, nil
	}
	return f
}

func text(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *fixture) mustBuild(t *testing.T) Key {
	t.Helper()
	key, err := f.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// key is that of the fixture's configuration.
func (f *fixture) key(t *testing.T) Key {
	t.Helper()
	vm, err := f.NewVM(f.Config)
	if err != nil {
		t.Fatal(err)
	}
	key, err := KeyOf(t.Context(), vm, f.Config)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (f *fixture) left(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(f.Store.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != buildLock {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestBuildAndFind(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Store.Find(t.Context(), f.key(t)); !errdefs.IsNotFound(err) {
		t.Errorf("a template that is not there: %v", err)
	}
	key := f.mustBuild(t)
	if key != f.key(t) {
		t.Errorf("the template's key is %s, that of the configuration %s", key, f.key(t))
	}
	got, err := f.Store.Find(t.Context(), key)
	if err != nil || got.Key != key || got.Made.IsZero() || got.Bytes == 0 || !strings.Contains(got.Shape, "fake") {
		t.Errorf("found %+v, %v", got, err)
	}
	for _, path := range []string{got.Snapshot.Memory, got.Snapshot.State} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o400 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if left := f.left(t); len(left) != 1 {
		t.Errorf("the store has %q", left)
	}
	if got := strings.Join(f.agent.calls, " "); got != "Check GetGuestDetails SetGuestDateTime ReseedRandomDev" {
		t.Errorf("the agent was asked %s", got)
	}
	for _, vm := range f.made {
		if vm.Config().SaveTo == nil {
			continue
		}
		select {
		case <-vm.Done():
		default:
			t.Error("the template's VM runs")
		}
	}
	asked := len(f.agent.calls)
	if f.mustBuild(t) != key || len(f.agent.calls) != asked {
		t.Error("a template that is there was built again")
	}
	if err := f.Store.Verify(t.Context(), key); err != nil {
		t.Error(err)
	}
}

// TestKeyChanges: what shapes a VM changes its key, and what belongs to one pod
// does not.
func TestKeyChanges(t *testing.T) {
	f := newFixture(t)
	keys := map[Key]string{f.key(t): "as it was"}
	for name, change := range map[string]func(){
		"memory": func() { f.Config.MemoryMiB = 2 },
		"vCPUs":  func() { f.Config.VCPUs = 2 },
		"binary": func() { touch(t, f.Config.Binary) },
		"kernel": func() { touch(t, f.Config.Kernel) },
		"image":  func() { f.Config.Image = text(t, t.TempDir(), "image") },
	} {
		change()
		key := f.key(t)
		if before, known := keys[key]; known {
			t.Errorf("%s: the key is that of %s", name, before)
		}
		keys[key] = name
	}
	key := f.key(t)
	f.Config.ID, f.Config.Dir, f.Config.NetNS, f.Config.Held = "other", "/d", "/ns", true
	if f.key(t) != key {
		t.Error("what belongs to a pod changes the key")
	}
}

// touch writes the same text again.
func touch(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Second)
	if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chtimes(path, later, later)); err != nil {
		t.Fatal(err)
	}
}

func TestBareVMMHasNoKey(t *testing.T) {
	_, err := KeyOf(t.Context(), fake.NewBare(hypervisor.Config{}), hypervisor.Config{})
	if !errdefs.IsNotImplemented(err) {
		t.Errorf("got %v", err)
	}
}

func TestChangedFilesAreNotUsed(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"memory written":  func(dir string) error { return os.WriteFile(filepath.Join(dir, memoryFile), []byte("MEMORY"), 0) },
		"memory replaced": func(dir string) error { return replace(filepath.Join(dir, memoryFile), "memory") },
		"state shortened": func(dir string) error { return os.Truncate(filepath.Join(dir, stateFile), 1) },
		"state gone":      func(dir string) error { return os.Remove(filepath.Join(dir, stateFile)) },
		"no manifest":     func(dir string) error { return replace(filepath.Join(dir, manifestFile), "rubbish") },
		"empty manifest":  func(dir string) error { return replace(filepath.Join(dir, manifestFile), "{}") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			key := f.mustBuild(t)
			if err := change(f.Store.dir(key)); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Store.Find(t.Context(), key); !errdefs.IsDataLoss(err) && !errdefs.IsNotFound(err) {
				t.Errorf("find: %v", err)
			}
			if f.mustBuild(t) != key {
				t.Error("it is not built again")
			}
			if _, err := f.Store.Find(t.Context(), key); err != nil {
				t.Errorf("find the new one: %v", err)
			}
		})
	}
}

func replace(path, content string) error {
	return errors.Join(os.Remove(path), os.WriteFile(path, []byte(content), 0o400))
}

// TestVerifySeesWhatTimesDoNot forges the manifest's times.
func TestVerifySeesWhatTimesDoNot(t *testing.T) {
	f := newFixture(t)
	key := f.mustBuild(t)
	dir := f.Store.dir(key)
	if err := replace(filepath.Join(dir, memoryFile), "mEmory"); err != nil {
		t.Fatal(err)
	}
	m, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Files[0].identity, err = identify(filepath.Join(dir, memoryFile)); err != nil {
		t.Fatal(err)
	}
	m.Files[0].Path = memoryFile
	if err := m.check(t.Context(), dir, true); !errdefs.IsDataLoss(err) {
		t.Errorf("got %v", err)
	}
}

func TestBoundsRemoveWhatWasUsedLeastRecently(t *testing.T) {
	f := newFixture(t)
	f.Store.MaxCount = 2
	first := f.mustBuild(t)
	f.Config.VCPUs = 2
	second := f.mustBuild(t)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(f.Store.dir(second), old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Store.Find(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	f.Config.VCPUs = 3
	third := f.mustBuild(t)
	got := map[Key]bool{}
	list, err := f.Store.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		got[l.Key] = true
	}
	if len(got) != 2 || !got[first] || !got[third] {
		t.Errorf("left are %v of %s, %s, %s", got, first, second, third)
	}
	f.Store.MaxBytes = 1
	f.Config.VCPUs = 4
	if _, err := f.Build(t.Context()); !errdefs.IsResourceExhausted(err) {
		t.Errorf("one larger than the bound: %v", err)
	}
}

func TestFailureIsKeptAndNothingElse(t *testing.T) {
	f := newFixture(t)
	f.agent.sick = errors.New("unwell")
	key, err := f.Build(t.Context())
	if err == nil || !strings.Contains(err.Error(), "unwell") {
		t.Fatalf("build: %v", err)
	}
	if err := f.Store.Failed(key); err == nil || !strings.Contains(err.Error(), "unwell") {
		t.Errorf("the failure: %v", err)
	}
	if left := f.left(t); len(left) != 1 || left[0] != string(key)+failedSuffix {
		t.Errorf("left: %q", left)
	}
	f.agent.sick = nil
	f.mustBuild(t)
	if err := f.Store.Failed(key); err != nil {
		t.Errorf("a failure after a success: %v", err)
	}
	f.change = func(vm *fake.VM) { vm.FailStart(errors.New("no VMM")) }
	f.Config.VCPUs = 7
	if key, err := f.Build(t.Context()); err == nil || f.Store.Failed(key) == nil {
		t.Errorf("a VM that does not start: %v", err)
	}
}

// TestFilesThatChangeMeanwhile: what was made of them has no key.
func TestFilesThatChangeMeanwhile(t *testing.T) {
	f := newFixture(t)
	f.change = func(vm *fake.VM) {
		if vm.Config().SaveTo != nil {
			touch(t, f.Config.Image)
		}
	}
	key, err := f.Build(t.Context())
	if !errdefs.IsAborted(err) {
		t.Errorf("build: %v", err)
	}
	if _, err := f.Store.Find(t.Context(), key); !errdefs.IsNotFound(err) {
		t.Errorf("find: %v", err)
	}
}

func TestOneBuilderAtATime(t *testing.T) {
	f := newFixture(t)
	if err := os.MkdirAll(f.Store.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := tryLock(filepath.Join(f.Store.Dir, buildLock))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Build(t.Context()); !errdefs.IsAlreadyExists(err) {
		t.Errorf("while another builds: %v", err)
	}
	unlock()
	f.mustBuild(t)
}

func TestLeftoversAreSwept(t *testing.T) {
	f := newFixture(t)
	stale := filepath.Join(f.Store.Dir, buildPrefix+"123")
	old := filepath.Join(f.Store.Dir, "x"+failedSuffix)
	if err := errors.Join(os.MkdirAll(filepath.Join(stale, "whole"), 0o700), os.WriteFile(old, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-2 * timeouts.TemplateRetry)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	key := f.mustBuild(t)
	if left := f.left(t); len(left) != 1 || left[0] != string(key) {
		t.Errorf("left: %q", left)
	}
}

func TestRemove(t *testing.T) {
	f := newFixture(t)
	key := f.mustBuild(t)
	for range 2 {
		if err := f.Store.Remove(key); err != nil {
			t.Fatal(err)
		}
	}
	if left := f.left(t); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	for _, bad := range []Key{"", "..", "a/b", "lock"} {
		if err := f.Store.Remove(bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("remove %q: %v", bad, err)
		}
	}
	empty := Store{Dir: filepath.Join(t.TempDir(), "none")}
	if list, err := empty.List(); err != nil || len(list) != 0 {
		t.Errorf("a store that is not there: %v, %v", list, err)
	}
	if err := empty.Remove(key); err != nil {
		t.Error(err)
	}
}

func TestSparse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	content := make([]byte, 8*pageSize)
	content[3*pageSize+7] = 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := digest(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	left, err := compact(t.Context(), path)
	if err != nil || left != pageSize {
		t.Errorf("%d bytes are left, %v", left, err)
	}
	if after, err := digest(t.Context(), path); err != nil || after != before {
		t.Errorf("holes change the digest: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(content) {
		t.Errorf("the content has changed, %v", err)
	}
	if err := os.Truncate(path, 7*pageSize); err != nil {
		t.Fatal(err)
	}
	if after, err := digest(t.Context(), path); err != nil || after == before {
		t.Errorf("the length does not change the digest: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := digest(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("a digest does not end: %v", err)
	}
}

func TestSettleEnds(t *testing.T) {
	path := text(t, t.TempDir(), "memory")
	if err := settle(t.Context(), path, 5*time.Millisecond); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := settle(ended, path, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := settle(t.Context(), path+"x", time.Hour); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

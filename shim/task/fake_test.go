// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/shim/pod"
)

// fakePID stands for the VMM's.
const fakePID = 4242

// fakeSandbox behaves as package sandbox's documentation says, without a VM.
type fakeSandbox struct {
	options  sandbox.Options
	startErr error
	done     chan struct{}
	oom      chan string
	stopOnce sync.Once

	mu         sync.Mutex
	containers map[string]*fakeContainer
	createErr  error
}

func newFakeSandbox(o sandbox.Options) *fakeSandbox {
	return &fakeSandbox{options: o, done: make(chan struct{}), oom: make(chan string), containers: map[string]*fakeContainer{}}
}

func (s *fakeSandbox) Start(context.Context) error { return s.startErr }
func (s *fakeSandbox) Stop(context.Context) error {
	s.stopOnce.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.containers {
			c.end()
		}
		close(s.done)
	})
	return nil
}
func (s *fakeSandbox) Done() <-chan struct{}                        { return s.done }
func (s *fakeSandbox) PID() int                                     { return fakePID }
func (s *fakeSandbox) State() sandbox.State                         { return sandbox.StateRunning }
func (s *fakeSandbox) StartedAt() time.Time                         { return time.Time{} }
func (s *fakeSandbox) EndedAt() time.Time                           { return time.Time{} }
func (s *fakeSandbox) Failure() *sandbox.Failure                    { return nil }
func (s *fakeSandbox) Info() map[string]string                      { return nil }
func (s *fakeSandbox) Options() sandbox.Options                     { return s.options }
func (s *fakeSandbox) Update(context.Context, sizing.Request) error { return nil }
func (s *fakeSandbox) OOMEvents() <-chan string                     { return s.oom }
func (s *fakeSandbox) Stats(context.Context) (hostcgroup.Stats, error) {
	return hostcgroup.Stats{}, nil
}

func (s *fakeSandbox) CreatePause(id, _ string) (pod.Container, error) {
	return s.add(id, sandbox.ContainerOptions{ID: id}, true)
}

func (s *fakeSandbox) CreateContainer(_ context.Context, o sandbox.ContainerOptions) (pod.Container, error) {
	return s.add(o.ID, o, false)
}

func (s *fakeSandbox) add(id string, o sandbox.ContainerOptions, pause bool) (*fakeContainer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.createErr != nil {
		return nil, s.createErr
	}
	if s.over() {
		return nil, fmt.Errorf("the fake pod has ended: %w", errdefs.ErrFailedPrecondition)
	}
	c := &fakeContainer{sandbox: s, options: o, pause: pause, init: newFakeProcess(o.Stdin, o.Stdout, o.Stderr), execs: map[string]*fakeProcess{}}
	s.containers[id] = c
	return c, nil
}

func (s *fakeSandbox) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *fakeSandbox) container(id string) *fakeContainer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.containers[id]
}

type fakeContainer struct {
	sandbox *fakeSandbox
	options sandbox.ContainerOptions
	pause   bool
	init    *fakeProcess

	mu        sync.Mutex
	execs     map[string]*fakeProcess
	signals   []uint32
	resources *specs.LinuxResources
	block     chan struct{} // Pause waits for it
}

func (c *fakeContainer) Init() pod.Process { return c.init }

func (c *fakeContainer) Exec(_ context.Context, o sandbox.ExecOptions) (pod.Process, error) {
	c.sandbox.mu.Lock()
	defer c.sandbox.mu.Unlock()
	if c.sandbox.over() {
		return nil, fmt.Errorf("the fake pod has ended: %w", errdefs.ErrFailedPrecondition)
	}
	p := newFakeProcess(o.Stdin, o.Stdout, o.Stderr)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.execs[o.ID] = p
	return p, nil
}

// end ends every process, and with them their streams.
func (c *fakeContainer) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range append(slices.Collect(maps.Values(c.execs)), c.init) {
		p.exit(137)
		p.closeStreams()
	}
}

func (c *fakeContainer) exec(id string) *fakeProcess {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.execs[id]
}

// Kill ends the process as a signal without a handler does.
func (c *fakeContainer) Kill(_ context.Context, execID string, signal uint32, all bool) error {
	p := c.init
	if execID != "" {
		p = c.exec(execID)
	}
	c.mu.Lock()
	c.signals = append(c.signals, signal)
	c.mu.Unlock()
	p.exit(128 + int(signal))
	p.closeStreams()
	return nil
}

func (c *fakeContainer) Pause(ctx context.Context) error {
	if c.block != nil {
		select {
		case <-c.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
func (c *fakeContainer) Resume(context.Context) error { return nil }
func (c *fakeContainer) Update(_ context.Context, r *specs.LinuxResources) error {
	c.resources = r
	return nil
}
func (c *fakeContainer) Stats(context.Context) (*agentpb.StatsContainerResponse, error) {
	return &agentpb.StatsContainerResponse{CgroupStats: &agentpb.CgroupStats{
		CpuStats: &agentpb.CpuStats{CpuUsage: &agentpb.CpuUsage{TotalUsage: 5000}},
	}}, nil
}
func (c *fakeContainer) Pids(context.Context) ([]int, error) { return []int{fakePID}, nil }
func (c *fakeContainer) Delete(context.Context) error {
	c.end()
	return nil
}
func (c *fakeContainer) DeleteExec(id string) error {
	c.exec(id).exit(137)
	c.exec(id).closeStreams()
	return nil
}

// fakeProcess has pipes in the place of guest streams; the far ends are the
// test's.
type fakeProcess struct {
	stdin          *io.PipeWriter
	stdout, stderr *io.PipeReader
	// in, out and errs are what the process itself would hold.
	in        *io.PipeReader
	out, errs *io.PipeWriter

	startErr error
	hold     chan struct{} // Start waits for it
	once     sync.Once
	done     chan struct{}

	mu    sync.Mutex
	code  int
	sizes []windowSize
}

func newFakeProcess(stdin, stdout, stderr bool) *fakeProcess {
	p := &fakeProcess{done: make(chan struct{})}
	if stdin {
		p.in, p.stdin = io.Pipe()
	}
	if stdout {
		p.stdout, p.out = io.Pipe()
	}
	if stderr {
		p.stderr, p.errs = io.Pipe()
	}
	return p
}

func (p *fakeProcess) Start(context.Context) error {
	if p.hold != nil {
		<-p.hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startErr
}

// fail makes the next start fail.
func (p *fakeProcess) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.startErr = errBroken
}

func (p *fakeProcess) Stdin() io.WriteCloser {
	if p.stdin == nil {
		return nil
	}
	return p.stdin
}

func (p *fakeProcess) Stdout() io.ReadCloser {
	if p.stdout == nil {
		return nil
	}
	return p.stdout
}

func (p *fakeProcess) Stderr() io.ReadCloser {
	if p.stderr == nil {
		return nil
	}
	return p.stderr
}

func (p *fakeProcess) Resize(_ context.Context, width, height uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes = append(p.sizes, windowSize{width, height})
	return nil
}

func (p *fakeProcess) Done() <-chan struct{} { return p.done }

func (p *fakeProcess) ExitStatus() (int, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code, time.Unix(1700000000, 0)
}

func (p *fakeProcess) exit(code int) {
	p.once.Do(func() {
		p.mu.Lock()
		p.code = code
		p.mu.Unlock()
		close(p.done)
	})
}

func (p *fakeProcess) closeStreams() {
	for _, w := range []*io.PipeWriter{p.out, p.errs} {
		if w != nil {
			_ = w.Close()
		}
	}
}

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []proto.Message
}

func (r *recorder) Publish(e proto.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// names lists the events in order.
func (r *recorder) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, e := range r.events {
		names = append(names, string(e.ProtoReflect().Descriptor().Name()))
	}
	return names
}

// all are the events in order.
func (r *recorder) all() []proto.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// bench is a service over a fake pod.
type bench struct {
	*Service
	events   *recorder
	dir      string
	shutdown chan struct{}

	mu        sync.Mutex
	sandbox   *fakeSandbox
	startErr  error
	createErr error
	configErr error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{events: &recorder{}, dir: t.TempDir(), shutdown: make(chan struct{})}
	holder := pod.New(b.make)
	var once sync.Once
	b.Service = New(Setup{
		Namespace: "ns", Pod: holder, Events: b.events,
		Configure: func(context.Context, map[string]string, string) (config.Config, error) {
			return config.Default(), b.configErr
		},
		Shutdown: func() { once.Do(func() { close(b.shutdown) }) },
	})
	holder.Follow(b.ForwardOOM)
	t.Cleanup(func() { _ = holder.End(context.Background()) })
	return b
}

func (b *bench) make(o sandbox.Options) (pod.Sandbox, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sandbox = newFakeSandbox(o)
	b.sandbox.startErr = b.startErr
	b.sandbox.createErr = b.createErr
	return b.sandbox, nil
}

func (b *bench) vm() *fakeSandbox {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sandbox
}

// bundle writes a spec with annotations and a network namespace.
func (b *bench) bundle(t *testing.T, id string, annotations map[string]string) string {
	t.Helper()
	dir := filepath.Join(b.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	spec := specs.Spec{
		Version: "1.2.0", Annotations: annotations, Process: &specs.Process{Args: []string{"true"}},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: "/run/netns/x"}, {Type: specs.IPCNamespace}, {Type: specs.PIDNamespace}, {Type: specs.UTSNamespace}}},
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func asSandbox(id string) map[string]string {
	return map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": id}
}

func asMember(podID string) map[string]string {
	return map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": podID}
}

// is fails the test unless err is of a class; nil means success.
func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if want == nil && err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

var errBroken = fmt.Errorf("pod x did not start: step vm: no kernel [kernel-missing]; install one: %w", errdefs.ErrUnavailable)

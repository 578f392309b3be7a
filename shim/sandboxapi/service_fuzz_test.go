// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
	"github.com/katapod/katapod/shim/shimtest"
)

// FuzzCalls makes the calls that the bytes say, with a pod's configuration from
// config. Every call succeeds or fails with an error of a known class, none takes
// longer than its context, a sandbox that is not the shim's is never touched, and
// after the shutdown nothing is left but what belongs to the bundle.
func FuzzCalls(f *testing.F) {
	for _, calls := range []string{
		"\x00\x00\x00\x00\x01\x00\x02\x00\x05\x00\x06\x00\x08\x00\x03\x00\x04\x00\x07\x00",
		"\x01\x00\x00\x00\x00\x00\x01\x00\x09\x00\x00\x00\x0a\x05\x00\x07\x00\x07\x00",
		"\x80\x00\x00\x00\x80\x00\x00\x00\x81\x00\x83\x00\x84\x00",
	} {
		f.Add([]byte(calls), fullConfig().Value)
	}
	f.Add([]byte("\x00\x00\x00\x00\x01\x00"), podSandboxConfig(message(8, message(2, message(1, integer(1, 2))))).Value)
	f.Add([]byte("\x00\x00\x00\x00\x01\x00"), podSandboxConfig(text(2, "\n127.0.0.1 evil"), message(4, text(1, "a\nb"))).Value)
	shimtest.Quiet(f)
	f.Fuzz(func(t *testing.T, calls, podConfig []byte) {
		before := shimtest.Holding(t)
		c := newCaller(t, calls, podConfig)
		for range 40 {
			if len(c.data) == 0 {
				break
			}
			c.call()
		}
		c.background.Wait()
		shimtest.Prompt(t, "the last ShutdownSandbox", func(ctx context.Context) error {
			_, err := c.ShutdownSandbox(ctx, &sandboxpb.ShutdownSandboxRequest{SandboxId: "pod"})
			return err
		})
		c.expectNothingLeft(before)
	})
}

// caller reads calls from bytes.
type caller struct {
	*Service
	t              *testing.T
	data, options  []byte
	bundle, absent string
	background     sync.WaitGroup

	mu   sync.Mutex
	vms  []*fakeSandbox
	left bool // Shutdown was called
}

func newCaller(t *testing.T, calls, podConfig []byte) *caller {
	t.Helper()
	c := &caller{t: t, data: calls, options: podConfig, bundle: t.TempDir()}
	c.absent = c.bundle + "/absent"
	c.Service = New(Setup{
		Namespace: "k8s.io", Pod: pod.New(c.make), Shutdown: c.leave,
		Configure: func(_ context.Context, annotations map[string]string, _ string) (config.Config, error) {
			return config.Default().WithAnnotations(annotations)
		},
	})
	return c
}

func (c *caller) make(o sandbox.Options) (pod.Sandbox, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.ID != "pod" {
		c.t.Errorf("a VM is made for %q", o.ID)
	}
	vm := &fakeSandbox{options: o, done: make(chan struct{})}
	c.vms = append(c.vms, vm)
	return vm, nil
}

func (c *caller) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
}

func (c *caller) next() byte {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

// id is mostly the one that CreateSandbox used.
func (c *caller) id() string {
	ids := [...]string{"pod", "pod", "pod", "", "other", "..", "a/b"}
	return ids[int(c.next())%len(ids)]
}

// any is the configuration of the fuzzer, of its type or of another.
func (c *caller) any() *anypb.Any {
	switch c.next() % 8 {
	case 1:
		return nil
	case 2:
		return &anypb.Any{TypeUrl: "odd", Value: c.options}
	case 3:
		return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", Value: c.options}
	case 4:
		return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", Value: []byte(`{"memory":{"limit":-1},"cpu":{"quota":-9}}`)}
	default:
		return &anypb.Any{TypeUrl: "runtime.v1.PodSandboxConfig", Value: c.options}
	}
}

// call makes one call; the highest bit of its byte says that the next one need
// not wait.
func (c *caller) call() {
	op := c.next()
	calls := [...]func() (string, func(context.Context) error){c.create, c.start, c.status, c.stop, c.wait, c.ping, c.metrics, c.shutdown, c.platform, c.update, c.death}
	what, do := calls[int(op&0x7f)%len(calls)]()
	run := func() { shimtest.Prompt(c.t, what, do) }
	if what == "WaitSandbox" { // for something that may never happen
		run = func() { _ = shimtest.Call(c.t, what, time.Millisecond, do) }
	}
	if op&0x80 != 0 {
		c.background.Go(run)
		return
	}
	run()
}

func (c *caller) create() (string, func(context.Context) error) {
	r := &sandboxpb.CreateSandboxRequest{SandboxId: "pod", NetnsPath: "/run/netns/x", BundlePath: c.bundle, Options: c.any()}
	switch c.next() % 8 {
	case 1:
		r.BundlePath = ""
	case 2:
		r.BundlePath = c.absent
	case 3:
		r.Annotations = map[string]string{"io.katacontainers.config.hypervisor.default_vcpus": "x"}
	}
	return "CreateSandbox", func(ctx context.Context) error { _, err := c.CreateSandbox(ctx, r); return err }
}

func (c *caller) start() (string, func(context.Context) error) {
	r := &sandboxpb.StartSandboxRequest{SandboxId: c.id()}
	return "StartSandbox", func(ctx context.Context) error { _, err := c.StartSandbox(ctx, r); return err }
}

func (c *caller) status() (string, func(context.Context) error) {
	r := &sandboxpb.SandboxStatusRequest{SandboxId: c.id(), Verbose: true}
	return "SandboxStatus", func(ctx context.Context) error { _, err := c.SandboxStatus(ctx, r); return err }
}

func (c *caller) stop() (string, func(context.Context) error) {
	r := &sandboxpb.StopSandboxRequest{SandboxId: c.id(), TimeoutSecs: uint32(c.next()) << 24}
	return "StopSandbox", func(ctx context.Context) error { _, err := c.StopSandbox(ctx, r); return err }
}

func (c *caller) wait() (string, func(context.Context) error) {
	r := &sandboxpb.WaitSandboxRequest{SandboxId: c.id()}
	return "WaitSandbox", func(ctx context.Context) error { _, err := c.WaitSandbox(ctx, r); return err }
}

func (c *caller) ping() (string, func(context.Context) error) {
	r := &sandboxpb.PingRequest{SandboxId: c.id()}
	return "PingSandbox", func(ctx context.Context) error { _, err := c.PingSandbox(ctx, r); return err }
}

func (c *caller) metrics() (string, func(context.Context) error) {
	r := &sandboxpb.SandboxMetricsRequest{SandboxId: c.id()}
	return "SandboxMetrics", func(ctx context.Context) error { _, err := c.SandboxMetrics(ctx, r); return err }
}

func (c *caller) shutdown() (string, func(context.Context) error) {
	r := &sandboxpb.ShutdownSandboxRequest{SandboxId: c.id()}
	return "ShutdownSandbox", func(ctx context.Context) error { _, err := c.ShutdownSandbox(ctx, r); return err }
}

func (c *caller) platform() (string, func(context.Context) error) {
	r := &sandboxpb.PlatformRequest{SandboxId: c.id()}
	return "Platform", func(ctx context.Context) error { _, err := c.Platform(ctx, r); return err }
}

func (c *caller) update() (string, func(context.Context) error) {
	r := &sandboxpb.UpdateSandboxRequest{SandboxId: c.id(), Resources: c.any()}
	if c.next()%2 == 1 {
		r.Sandbox = new(types.Sandbox)
		if proto.Unmarshal(c.options, r.Sandbox) != nil {
			r.Sandbox = nil
		}
		r.Fields = []string{"labels", "extensions.x", ""}
	}
	return "UpdateSandbox", func(ctx context.Context) error { _, err := c.UpdateSandbox(ctx, r); return err }
}

// death ends the VM by itself.
func (c *caller) death() (string, func(context.Context) error) {
	return "a death", func(ctx context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		var errs []error
		for _, vm := range c.vms {
			errs = append(errs, vm.Stop(ctx))
		}
		return errors.Join(errs...)
	}
}

func (c *caller) expectNothingLeft(before shimtest.Held) {
	if !c.left {
		c.t.Error("the shim stays")
	}
	for _, vm := range c.vms {
		if vm.State() != sandbox.StateStopped {
			c.t.Error("a VM stays")
		}
	}
	before.Await(c.t)
	entries, err := os.ReadDir(c.bundle)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "hostname", "hosts", "resolv.conf", "katapod.state-dir", failure.FileName:
		default:
			c.t.Errorf("%s is left in the bundle", e.Name())
		}
	}
}

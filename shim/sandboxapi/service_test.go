// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	stats1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	containerd "github.com/containerd/containerd/api/runtime/sandbox/v1"
	"github.com/containerd/errdefs"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/shim/pod"
)

// fakeSandbox is a pod without a VM; what is not overridden is not called.
type fakeSandbox struct {
	pod.Sandbox
	options  sandbox.Options
	startErr error
	once     sync.Once
	done     chan struct{}
	failure  *sandbox.Failure
	updated  []sizing.Request
	narrow   error // of Update
}

func (s *fakeSandbox) Start(context.Context) error { return s.startErr }
func (s *fakeSandbox) Stop(context.Context) error {
	s.once.Do(func() { close(s.done) })
	return nil
}
func (s *fakeSandbox) Update(_ context.Context, r sizing.Request) error {
	s.updated = append(s.updated, r)
	return s.narrow
}
func (s *fakeSandbox) Done() <-chan struct{}     { return s.done }
func (s *fakeSandbox) PID() int                  { return 4242 }
func (s *fakeSandbox) EndedAt() time.Time        { return time.Unix(1700000000, 0) }
func (s *fakeSandbox) Failure() *sandbox.Failure { return s.failure }
func (s *fakeSandbox) Options() sandbox.Options  { return s.options }
func (s *fakeSandbox) Info() map[string]string   { return map[string]string{"hypervisor": "fake"} }
func (s *fakeSandbox) State() sandbox.State {
	select {
	case <-s.done:
		return sandbox.StateStopped
	default:
		return sandbox.StateRunning
	}
}
func (s *fakeSandbox) Stats(context.Context) (hostcgroup.Stats, error) {
	return hostcgroup.Stats{V1: &stats1.Metrics{Pids: &stats1.PidsStat{Current: 3}}}, nil
}

type bench struct {
	*Service
	bundle   string
	vm       *fakeSandbox
	startErr error
	shutdown chan struct{}
	seen     map[string]string // annotations that the configuration was asked with
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{bundle: t.TempDir(), shutdown: make(chan struct{})}
	holder := pod.New(func(o sandbox.Options) (pod.Sandbox, error) {
		b.vm = &fakeSandbox{options: o, startErr: b.startErr, done: make(chan struct{})}
		return b.vm, nil
	})
	b.Service = New(Setup{
		Namespace: "k8s.io", ConfigPath: "/from/options", Pod: holder, Shutdown: func() { close(b.shutdown) },
		Configure: func(_ context.Context, annotations map[string]string, option string) (config.Config, error) {
			b.seen = annotations
			if option != "/from/options" {
				t.Errorf("the configuration was asked with option %q", option)
			}
			return config.Default(), nil
		},
	})
	t.Cleanup(func() {
		if b.vm != nil {
			_ = b.vm.Stop(context.Background()) // a fake that ends at once
		}
	})
	return b
}

// The builders write messages of the CRI by field number.
func text(n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
}
func message(n protowire.Number, parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return text(n, string(all))
}
func integer(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}
func pair(n protowire.Number, k, v string) []byte { return message(n, text(1, k), text(2, v)) }

func podSandboxConfig(parts ...[]byte) *anypb.Any {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return &anypb.Any{TypeUrl: "runtime.v1.PodSandboxConfig", Value: all}
}

func fullConfig() *anypb.Any {
	return podSandboxConfig(
		message(1, text(1, "name"), text(2, "uid")), text(2, "web"),
		message(4, text(1, "10.0.0.10"), text(1, "10.0.0.11"), text(2, "cluster.local"), text(3, "ndots:5")),
		pair(6, "app", "web"), pair(7, "io.katacontainers.config.hypervisor.default_vcpus", "2"),
		message(8, text(1, "/kubepods/pod1"), message(2, message(1, integer(2, 1))), pair(3, "net.core.somaxconn", "1024"),
			message(5, integer(1, 100000), integer(2, 200000), integer(3, 2048), integer(4, 1<<30), text(6, "0-1"))),
	)
}

func (b *bench) create(t *testing.T, options *anypb.Any) error {
	t.Helper()
	_, err := b.CreateSandbox(t.Context(), &sandboxpb.CreateSandboxRequest{
		SandboxId: "pod", BundlePath: b.bundle, Options: options, NetnsPath: "/run/netns/x",
	})
	return err
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func TestThePodIsWhatItsConfigurationSays(t *testing.T) {
	b := newBench(t)
	is(t, "CreateSandbox", b.create(t, fullConfig()), nil)
	started, err := b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	if err != nil || started.Pid != 4242 || started.CreatedAt == nil {
		t.Fatalf("StartSandbox answered %v, error %v", started, err)
	}
	o := b.vm.options
	if o.ID != "pod" || o.Namespace != "k8s.io" || o.NetNS != "/run/netns/x" || o.Hostname != "web" || o.SharedPIDNS ||
		o.CgroupPath != "/kubepods/pod1/pod" || o.Sysctls["net.core.somaxconn"] != "1024" {
		t.Errorf("options %+v", o)
	}
	if r := o.Resources; r.CPUPeriod != 100000 || r.CPUQuota != 200000 || r.CPUShares != 2048 || r.MemoryBytes != 1<<30 || r.Cpuset != "0-1" {
		t.Errorf("resources %+v", r)
	}
	if b.seen["io.katacontainers.config.hypervisor.default_vcpus"] != "2" {
		t.Errorf("annotations %v", b.seen)
	}
	want := "search cluster.local\nnameserver 10.0.0.10\nnameserver 10.0.0.11\noptions ndots:5\n"
	if got, err := os.ReadFile(filepath.Join(b.bundle, "resolv.conf")); err != nil || string(got) != want {
		t.Errorf("resolv.conf is %q, error %v", got, err)
	}
	if strings.Join(o.DNS, "\n")+"\n" != want {
		t.Errorf("DNS %q", o.DNS)
	}
	spec := &specs.Spec{Linux: &specs.Linux{}, Mounts: []specs.Mount{
		{Destination: "/etc/hosts", Source: "/own"},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm"}, // containerd's default, of the container alone
	}}
	b.Pod.Complete(spec)
	if shm := spec.Mounts[1]; shm.Type != "bind" || shm.Source != "/dev/shm" {
		t.Errorf("the pod's /dev/shm is %+v in a container", shm)
	}
	if len(spec.Mounts) != 4 || spec.Mounts[0].Source != "/own" || spec.Linux.Sysctl["net.core.somaxconn"] != "1024" {
		t.Errorf("a container of the pod gets %+v, sysctls %v", spec.Mounts, spec.Linux.Sysctl)
	}
}

func TestLife(t *testing.T) {
	b := newBench(t)
	_, err := b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "StartSandbox before CreateSandbox", err, errdefs.ErrFailedPrecondition)
	is(t, "CreateSandbox", b.create(t, fullConfig()), nil)
	is(t, "second CreateSandbox", b.create(t, fullConfig()), errdefs.ErrAlreadyExists)
	b.expectState(t, stateNotReady)
	_, err = b.PingSandbox(t.Context(), &sandboxpb.PingRequest{SandboxId: "pod"})
	is(t, "PingSandbox before StartSandbox", err, errdefs.ErrFailedPrecondition)
	_, err = b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "StartSandbox", err, nil)
	_, err = b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "second StartSandbox", err, errdefs.ErrAlreadyExists)
	b.expectState(t, stateReady)
	_, err = b.PingSandbox(t.Context(), &sandboxpb.PingRequest{SandboxId: "pod"})
	is(t, "PingSandbox", err, nil)
	platform, err := b.Platform(t.Context(), &sandboxpb.PlatformRequest{SandboxId: "pod"})
	if err != nil || platform.Platform.OS != "linux" || platform.Platform.Architecture != runtime.GOARCH {
		t.Errorf("Platform answered %v, error %v", platform, err)
	}
	used, err := b.SandboxMetrics(t.Context(), &sandboxpb.SandboxMetricsRequest{SandboxId: "pod"})
	if err != nil || used.Metrics.Data.TypeUrl != "io.containerd.cgroups.v1.Metrics" || used.Metrics.ID != "pod" {
		t.Errorf("SandboxMetrics answered %v, error %v", used, err)
	}
	for range 2 {
		_, err = b.StopSandbox(t.Context(), &sandboxpb.StopSandboxRequest{SandboxId: "pod", TimeoutSecs: 10})
		is(t, "StopSandbox", err, nil)
	}
	waited, err := b.WaitSandbox(t.Context(), &sandboxpb.WaitSandboxRequest{SandboxId: "pod"})
	if err != nil || waited.ExitStatus != 0 || waited.ExitedAt == nil {
		t.Errorf("WaitSandbox answered %v, error %v", waited, err)
	}
	b.expectState(t, stateNotReady)
	_, err = b.PingSandbox(t.Context(), &sandboxpb.PingRequest{SandboxId: "pod"})
	is(t, "PingSandbox after StopSandbox", err, errdefs.ErrUnavailable)
	_, err = b.SandboxMetrics(t.Context(), &sandboxpb.SandboxMetricsRequest{SandboxId: "pod"})
	is(t, "SandboxMetrics after StopSandbox", err, errdefs.ErrUnavailable)
	_, err = b.ShutdownSandbox(t.Context(), &sandboxpb.ShutdownSandboxRequest{SandboxId: "pod"})
	is(t, "ShutdownSandbox", err, nil)
	leaktest.Receive(t, b.shutdown)
}

func (b *bench) expectState(t *testing.T, want string) {
	t.Helper()
	status, err := b.SandboxStatus(t.Context(), &sandboxpb.SandboxStatusRequest{SandboxId: "pod", Verbose: true})
	if err != nil || status.State != want || status.CreatedAt == nil {
		t.Errorf("SandboxStatus answered %v, error %v; want %s", status, err, want)
	}
}

func TestDeathEndsWaitWithAnErrorCode(t *testing.T) {
	b := newBench(t)
	is(t, "CreateSandbox", b.create(t, fullConfig()), nil)
	_, err := b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "StartSandbox", err, nil)
	b.vm.failure = &sandbox.Failure{Pod: "pod", Step: "running", Code: failure.VMMDied, Cause: errors.New("killed")}
	is(t, "death", b.vm.Stop(t.Context()), nil)
	waited, err := b.WaitSandbox(t.Context(), &sandboxpb.WaitSandboxRequest{SandboxId: "pod"})
	if err != nil || waited.ExitStatus != 137 {
		t.Errorf("WaitSandbox answered %v, error %v", waited, err)
	}
	status, err := b.SandboxStatus(t.Context(), &sandboxpb.SandboxStatusRequest{SandboxId: "pod", Verbose: true})
	if err != nil || !strings.Contains(status.Info["failure"], "killed") {
		t.Errorf("SandboxStatus answered %v, error %v", status, err)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	is(t, "no options", b.create(t, nil), errdefs.ErrInvalidArgument)
	is(t, "options of another type", b.create(t, &anypb.Any{TypeUrl: "x"}), errdefs.ErrInvalidArgument)
	is(t, "broken options", b.create(t, podSandboxConfig([]byte{0xff})), errdefs.ErrInvalidArgument)
	hostNetwork := podSandboxConfig(message(8, message(2, message(1, integer(1, 2)))))
	is(t, "the host's network", b.create(t, hostNetwork), errdefs.ErrNotImplemented)
	hostIPC := podSandboxConfig(message(8, message(2, message(1, integer(3, 2)))))
	is(t, "the host's IPC", b.create(t, hostIPC), errdefs.ErrNotImplemented)
	is(t, "CreateSandbox", b.create(t, podSandboxConfig()), nil) // everything by default
	for name, call := range map[string]func() error{
		"StartSandbox": func() error {
			_, err := b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "x"})
			return err
		},
		"StopSandbox": func() error {
			_, err := b.StopSandbox(t.Context(), &sandboxpb.StopSandboxRequest{SandboxId: "x"})
			return err
		},
		"WaitSandbox": func() error {
			_, err := b.WaitSandbox(t.Context(), &sandboxpb.WaitSandboxRequest{SandboxId: "x"})
			return err
		},
		"SandboxStatus": func() error {
			_, err := b.SandboxStatus(t.Context(), &sandboxpb.SandboxStatusRequest{SandboxId: "x"})
			return err
		},
		"PingSandbox": func() error {
			_, err := b.PingSandbox(t.Context(), &sandboxpb.PingRequest{SandboxId: "x"})
			return err
		},
		"Platform": func() error {
			_, err := b.Platform(t.Context(), &sandboxpb.PlatformRequest{SandboxId: "x"})
			return err
		},
		"SandboxMetrics": func() error {
			_, err := b.SandboxMetrics(t.Context(), &sandboxpb.SandboxMetricsRequest{SandboxId: "x"})
			return err
		},
		"UpdateSandbox": func() error {
			_, err := b.UpdateSandbox(t.Context(), &sandboxpb.UpdateSandboxRequest{SandboxId: "x"})
			return err
		},
		"ShutdownSandbox": func() error {
			_, err := b.ShutdownSandbox(t.Context(), &sandboxpb.ShutdownSandboxRequest{SandboxId: "x"})
			return err
		},
	} {
		is(t, name+" of an unknown sandbox", call(), errdefs.ErrNotFound)
	}
}

func TestAFailedStartMayBeTriedAgain(t *testing.T) {
	b := newBench(t)
	is(t, "CreateSandbox", b.create(t, fullConfig()), nil)
	b.startErr = errdefs.ErrUnavailable
	_, err := b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "StartSandbox", err, errdefs.ErrUnavailable)
	b.startErr = nil
	_, err = b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "StartSandbox again", err, nil)
}

func TestMethodTable(t *testing.T) {
	service := containerd.File_runtime_sandbox_v1_sandbox_proto.Services().ByName("Sandbox")
	table := newBench(t).methods()
	if string(service.FullName()) != serviceName || service.Methods().Len() != len(table) {
		t.Errorf("%s has %d methods, the table of %s has %d", service.FullName(), service.Methods().Len(), serviceName, len(table))
	}
	for i := range service.Methods().Len() {
		if name := string(service.Methods().Get(i).Name()); table[name] == nil {
			t.Errorf("the table lacks %s", name)
		}
	}
}

// TestMessagesAreContainerds is why messages of our own will do.
func TestMessagesAreContainerds(t *testing.T) {
	theirs, ours := containerd.File_runtime_sandbox_v1_sandbox_proto.Messages(), sandboxpb.File_sandbox_proto.Messages()
	if theirs.Len() != ours.Len() {
		t.Errorf("containerd has %d messages, we have %d", theirs.Len(), ours.Len())
	}
	for i := range theirs.Len() {
		their := theirs.Get(i)
		our := ours.ByName(their.Name())
		if our == nil || our.Fields().Len() != their.Fields().Len() {
			t.Errorf("%s is not the same here", their.Name())
			continue
		}
		for j := range their.Fields().Len() {
			a := their.Fields().Get(j)
			b := our.Fields().ByNumber(a.Number())
			if b == nil || a.Name() != b.Name() || a.Kind() != b.Kind() || a.Cardinality() != b.Cardinality() || a.IsMap() != b.IsMap() {
				t.Errorf("%s: field %v is %v here", their.Name(), a, b)
				continue
			}
			if a.Message() != nil && !a.IsMap() && a.Message().FullName() != b.Message().FullName() {
				t.Errorf("%s.%s is a %s, here a %s", their.Name(), a.Name(), a.Message().FullName(), b.Message().FullName())
			}
		}
	}
}

func TestCgroupPath(t *testing.T) {
	for parent, want := range map[string]string{
		"": "", "/kubepods/besteffort/pod1": "/kubepods/besteffort/pod1/id",
		"/kubepods.slice/kubepods-pod1.slice": "kubepods-pod1.slice:cri-containerd:id",
	} {
		if got := cgroupPath(parent, "id"); got != want {
			t.Errorf("below %q: %q, want %q", parent, got, want)
		}
	}
}

func FuzzPodConfig(f *testing.F) {
	f.Add(fullConfig().Value)
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, message []byte) {
		if _, err := decodeConfig(message); err != nil && !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("error %v", err)
		}
	})
}

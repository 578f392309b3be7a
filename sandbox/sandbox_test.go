// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/failure"
)

func TestPodComesUpAndLeavesNothing(t *testing.T) {
	f := startedFixture(t, func(o *Options) {
		o.Hostname = strings.Repeat("h", 70)
		o.DNS = []string{"nameserver 10.0.0.1"}
		o.SharedPIDNS = true
		o.SharesSoon = true
	})
	if s := f.pod.State(); s != StateRunning {
		t.Fatalf("state %s", s)
	}
	if f.pod.PID() == 0 || f.pod.StartedAt().IsZero() || !f.pod.EndedAt().IsZero() {
		t.Error("a pod that runs has a process and a start, and no end")
	}
	create := lastCall[*agentpb.CreateSandboxRequest](f.agent, "CreateSandbox")
	if len(create.Hostname) != 64 || create.Dns[0] != "nameserver 10.0.0.1" || !create.SandboxPidns || create.SandboxId != "pod1" {
		t.Errorf("CreateSandbox got %v", create)
	}
	if len(create.Storages) != 2 || create.Storages[0].Source != "kataShared" || !slices.Contains(create.Storages[1].Options, "size=67108864") {
		t.Errorf("storages: %v", create.Storages)
	}
	eth0 := lastCall[*agentpb.UpdateInterfaceRequest](f.agent, "UpdateInterface").Interface
	if eth0.HwAddr != "02:00:00:00:00:01" || eth0.Mtu != 1450 || eth0.IPAddresses[0].Mask != "24" || eth0.IPAddresses[1].Family != 1 {
		t.Errorf("UpdateInterface got %v", eth0)
	}
	routes := lastCall[*agentpb.UpdateRoutesRequest](f.agent, "UpdateRoutes").Routes.Routes
	if routes[0].Dest != "" || routes[0].Gateway != "10.1.2.1" || routes[1].Dest != "fd00::/64" || routes[1].Scope != 253 {
		t.Errorf("UpdateRoutes got %v", routes)
	}
	if n := len(f.vm.Config().NICs); n != 1 || len(f.vm.Config().Shares) != 1 || f.vm.Config().NetNS != "/run/netns/test" {
		t.Errorf("the VM has %d NICs and the configuration %+v", n, f.vm.Config())
	}
	if i := f.pod.Info(); i["hypervisor"] != "fake" || i["state"] != "running" || i["netns"] != "/run/netns/test" ||
		i["cgroup"] != "/test/kata_pod1" || i["started_at"] == "" || i["start_ms"] == "" {
		t.Errorf("info %v", i)
	}
	for range 2 {
		if err := f.pod.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if f.agent.called("DestroySandbox") < 0 {
		t.Error("the guest could not shut down")
	}
	await(t, f.pod.Done(), "the pod's end")
	if f.pod.State() != StateStopped || f.pod.Failure() != nil || f.pod.EndedAt().IsZero() {
		t.Errorf("state %s, failure %v, end %v", f.pod.State(), f.pod.Failure(), f.pod.EndedAt())
	}
}

func TestTimelineNamesEveryStep(t *testing.T) {
	f := startedFixture(t, sharesSoon)
	want := []string{StepCheck, StepPlace, StepTemplate, StepCgroup, StepNetNS, StepDirectory, StepNetwork, StepShare, StepClone, StepVM, StepAgent, StepGuestNetwork, StepGuestSandbox}
	var got []string
	for _, s := range f.pod.Timeline() {
		got = append(got, s.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("steps %q, want %q", got, want)
	}
	text, err := os.ReadFile(f.pod.dirs.timeline())
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Steps []struct {
			Name       string   `json:"name"`
			StartMS    *float64 `json:"start_ms"`
			DurationMS *float64 `json:"duration_ms"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Steps) != len(want) {
		t.Fatalf("timeline.json %s: %v", text, err)
	}
	for _, s := range file.Steps {
		if s.StartMS == nil || s.DurationMS == nil {
			t.Errorf("step %s lacks its times", s.Name)
		}
	}
}

func TestSecondPodOfAnID(t *testing.T) {
	f := newFixture(t)
	_, err := New(f.pod.Options(), f.host.drivers(f.vm))
	wantIs(t, "a second pod", err, errdefs.ErrAlreadyExists)
	for _, id := range []string{"", "a/b", "..", "-x", strings.Repeat("x", 200)} {
		o := f.pod.Options()
		o.ID = id
		_, err := New(o, f.host.drivers(f.vm))
		wantIs(t, "id "+id, err, errdefs.ErrInvalidArgument)
	}
}

func TestStopBeforeStart(t *testing.T) {
	f := newFixture(t)
	if err := f.pod.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "start of a stopped pod", f.pod.Start(context.Background()), errdefs.ErrFailedPrecondition)
}

func TestStopWhileStarting(t *testing.T) {
	f := newFixture(t)
	f.vm.bootHangs = true
	reached := make(chan struct{})
	f.pod.runner.before = func(step string) error {
		if step == StepAgent {
			close(reached)
		}
		return nil
	}
	result := make(chan error, 1)
	go func() { result <- f.pod.Start(context.Background()) }()
	await(t, reached, "the agent's step")
	if err := f.pod.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	var failed *Failure
	if err := leaktest.Receive(t, result); !errors.As(err, &failed) || failed.Code != failure.Stopped {
		t.Errorf("start: %v", err)
	}
}

func TestStopIsBoundedByItsCaller(t *testing.T) {
	f := startedFixture(t, sharesSoon)
	hung := f.agent.hangAt("DestroySandbox")
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- f.pod.Stop(ctx) }()
	await(t, hung, "DestroySandbox")
	cancel()
	wantIs(t, "a stop whose caller gave up", leaktest.Receive(t, result), context.Canceled)
	f.vm.die("so that the test need not wait")
	if err := f.pod.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Every step that fails is named, and undone with all before it.
func TestEveryStepFails(t *testing.T) {
	for _, stage := range (&Sandbox{}).stages() {
		for _, step := range stage {
			t.Run(step.name, func(t *testing.T) {
				f := newFixture(t, sharesSoon)
				boom := errors.New("boom")
				f.pod.runner.before = func(name string) error {
					if name == step.name {
						return boom
					}
					return nil
				}
				f.failsAt(step.name, boom)
			})
		}
	}
}

// failsAt starts a pod that is to fail.
func (f *fixture) failsAt(step string, cause error) *Failure {
	f.t.Helper()
	err := f.pod.Start(context.Background())
	var failed *Failure
	if !errors.As(err, &failed) {
		f.t.Fatalf("start: %v", err)
	}
	if failed.Step != step || !errors.Is(err, cause) || failed.Code.Remedy() == "" || failed.Pod != "pod1" {
		f.t.Errorf("failure %+v, want step %s because of %v", failed, step, cause)
	}
	if f.pod.State() != StateStopped || f.pod.Failure() != failed {
		f.t.Errorf("state %s, failure %v", f.pod.State(), f.pod.Failure())
	}
	if held := f.pod.resources.ledger.Held(); len(held) > 0 {
		f.t.Errorf("the ledger still holds %v", held)
	}
	await(f.t, f.pod.Done(), "the pod's end")
	f.clean()
	return failed
}

// A failure half-way through a step leaves nothing either, and has its code.
func TestFailuresHaveCodes(t *testing.T) {
	boom := errors.New("boom")
	unsupported := errdefs.ErrNotImplemented
	for _, c := range []struct {
		name, step string
		code       failure.Code
		cause      error
		set        func(f *fixture)
	}{
		{"check", StepCheck, failure.KernelMissing, boom, func(f *fixture) { f.host.fail["check"] = failure.With(failure.KernelMissing, boom) }},
		{"cgroup", StepCgroup, failure.CgroupFailed, boom, func(f *fixture) { f.host.fail["cgroup"] = boom }},
		{"scan", StepNetwork, failure.NetworkFailed, boom, func(f *fixture) { f.host.fail["scan"] = boom }},
		{"tap", StepNetwork, failure.NetworkFailed, boom, func(f *fixture) { f.host.fail["tap"] = boom }},
		{"tap of a strange kind", StepNetwork, failure.NetworkUnsupported, unsupported, func(f *fixture) { f.host.fail["tap"] = unsupported }},
		{"mount", StepShare, failure.ShareFailed, boom, func(f *fixture) { f.host.fail["mount"] = boom }},
		{"virtiofsd", StepShare, failure.ShareFailed, boom, func(f *fixture) { f.host.fail["share"] = boom }},
		{"vm", StepVM, failure.VMMFailed, boom, func(f *fixture) { f.vm.startErr = boom }},
		{"vm configuration", StepVM, failure.ConfigInvalid, errdefs.ErrInvalidArgument, func(f *fixture) { f.vm.startErr = errdefs.ErrInvalidArgument }},
		{"guest interface", StepGuestNetwork, failure.NetworkFailed, errdefs.ErrInvalidArgument, func(f *fixture) { f.agent.failAt("UpdateInterface", errdefs.ErrInvalidArgument) }},
		{"guest sandbox", StepGuestSandbox, failure.AgentFailed, errdefs.ErrInvalidArgument, func(f *fixture) { f.agent.failAt("CreateSandbox", errdefs.ErrInvalidArgument) }},
		{"health", StepAgent, failure.AgentFailed, errdefs.ErrUnavailable, func(f *fixture) { f.agent.failAt("Check", errdefs.ErrUnavailable) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, sharesSoon)
			c.set(f)
			if got := f.failsAt(c.step, c.cause); got.Code != c.code {
				t.Errorf("code %s, want %s", got.Code, c.code)
			}
		})
	}
}

func TestAgentThatNeverCalls(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Config.Agent.DialTimeout = 1 })
	f.vm.bootHangs = true
	if got := f.failsAt(StepAgent, context.DeadlineExceeded); got.Code != failure.AgentTimeout {
		t.Errorf("code %s", got.Code)
	}
}

func TestStartWhoseCallerGivesUp(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(context.Background())
	f.pod.runner.before = func(step string) error {
		if step == StepVM {
			cancel()
		}
		return nil
	}
	var failed *Failure
	if err := f.pod.Start(ctx); !errors.As(err, &failed) || failed.Code != failure.Cancelled || failed.Step != StepVM {
		t.Fatalf("start: %v", err)
	}
	f.clean()
}

func TestTooLargeAPod(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Resources.MemoryBytes = 1 << 40 })
	if got := f.failsAt(StepCheck, errdefs.ErrFailedPrecondition); got.Code != failure.TooLarge {
		t.Errorf("code %s", got.Code)
	}
}

func TestPrivateNamespaceIsMadeAndRemoved(t *testing.T) {
	f := startedFixture(t, func(o *Options) { o.NetNS = "" })
	f.host.setState(network.State{})
	want := filepath.Join(f.pod.dirs.state, "netns")
	if f.vm.Config().NetNS != want || !slices.Contains(f.host.left(), "netns "+want) {
		t.Errorf("namespace %s, host %v", f.vm.Config().NetNS, f.host.left())
	}
}

func TestOOMEvents(t *testing.T) {
	f := startedFixture(t)
	for _, id := range []string{"c1", "c1", "c2"} {
		select {
		case f.agent.oom <- id:
		case <-time.After(5 * time.Second):
			t.Fatal("nobody asks for OOM events")
		}
		if got := leaktest.Receive(t, f.pod.OOMEvents()); got != id {
			t.Errorf("OOM in %s, want %s", got, id)
		}
	}
}

func TestDrivenWithoutShare(t *testing.T) {
	f := startedFixture(t, func(o *Options) { o.Config.Hypervisor.SharedFS = "none" })
	if f.host.share != nil || len(f.vm.Config().Shares) != 0 {
		t.Error("a pod without a share has one")
	}
	if s := lastCall[*agentpb.CreateSandboxRequest](f.agent, "CreateSandbox").Storages; len(s) != 1 {
		t.Errorf("storages %v", s)
	}
	_, err := f.pod.CreateContainer(context.Background(), containerOptions("c1", "sleep"))
	wantIs(t, "an overlay root without a share", err, errdefs.ErrFailedPrecondition)
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/sandbox/failure"
)

// soon is less than the timeouts of the calls that wait for the guest, and far more than
// a busy host needs.
const soon = 25 * time.Second

// killers end a pod that runs, each in its way.
func killers() map[string]struct {
	kill func(f *fixture)
	code failure.Code
} {
	type killer = struct {
		kill func(f *fixture)
		code failure.Code
	}
	return map[string]killer{
		"process":     {func(f *fixture) { _ = f.vm.crash() }, failure.VMMDied},
		"vmm":         {func(f *fixture) { f.vm.die("killed by signal 9") }, failure.VMMDied},
		"guest panic": {func(f *fixture) { f.vm.Die(hypervisor.Because(hypervisor.ErrGuestPanicked, errors.New("it panicked"))) }, failure.GuestPanicked},
		"agent":       {func(f *fixture) { f.vm.cutAgent() }, failure.AgentLost},
		"virtiofsd":   {func(f *fixture) { f.host.share.end(errors.New("segmentation fault")) }, failure.VirtiofsdDied},
	}
}

// Whatever dies, every process has its code at once, and the pod answers.
func TestDeathOfAnything(t *testing.T) {
	for name, k := range killers() {
		t.Run(name, func(t *testing.T) {
			f := startedFixture(t)
			running, paused, created := f.running("running", "sleep"), f.running("paused", "sleep"), f.container("created", "sleep")
			pause, err := f.pod.CreatePause("pause", "/bundle")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(pause.Start(background), paused.Pause(background)); err != nil {
				t.Fatal(err)
			}
			exec, err := running.Exec(background, ExecOptions{ID: "e", Process: &specs.Process{Args: []string{"sleep"}, Cwd: "/"}, Stdout: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := exec.Start(background); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			k.kill(f)
			for _, p := range []*Process{running.Init(), paused.Init(), created.Init(), pause.Init(), exec} {
				if code := wait(t, p); code != 137 {
					t.Errorf("%s has code %d", p, code)
				}
			}
			if took := time.Since(began); took > soon {
				t.Errorf("the processes ended after %v", took)
			}
			if _, err := exec.Stdout().Read(make([]byte, 1)); err == nil {
				t.Error("the stream of a dead process gives bytes")
			}
			// Who waits is answered when the output has ended; timeouts.LastOutput is half a second.
			if took := time.Since(began); took > soon {
				t.Errorf("the output of a dead process ended after %v", took)
			}
			f.answersDead(k.code, running)
		})
	}
}

// answersDead checks a pod that died.
func (f *fixture) answersDead(code failure.Code, c *Container) {
	f.t.Helper()
	if got := f.pod.Failure(); got == nil || got.Step != "running" {
		f.t.Fatalf("failure %v", got)
	}
	wantIs(f.t, "kill", c.Kill(background, "", 9, false), errdefs.ErrNotFound)
	_, err := f.pod.CreateContainer(background, containerOptions("late", "sleep"))
	wantIs(f.t, "a container in a dead pod", err, errdefs.ErrFailedPrecondition)
	await(f.t, f.pod.Done(), "the pod's end")
	got := f.pod.Failure()
	if got.Code != code || f.pod.State() != StateStopped {
		f.t.Errorf("state %s, failure %+v, want code %s", f.pod.State(), got, code)
	}
	if text, err := os.ReadFile(filepath.Join(f.pod.options.Bundle, failure.FileName)); err != nil || !strings.Contains(string(text), string(code)) {
		f.t.Errorf("failure.json %s, %v", text, err)
	}
	if held := f.pod.resources.ledger.Held(); len(held) > 0 {
		f.t.Errorf("the ledger still holds %v", held)
	}
	if err := c.Delete(background); err != nil {
		f.t.Errorf("delete: %v", err)
	}
}

// A call that waits for the guest returns at its death.
func TestDeathDuringACall(t *testing.T) {
	start := func(f *fixture) *Container { return f.running("c1", "sleep") }
	exec := func(f *fixture) error {
		p, err := start(f).Exec(background, ExecOptions{ID: "e", Process: &specs.Process{Args: []string{"sleep"}, Cwd: "/"}, Stdout: true})
		if err != nil {
			return err
		}
		return p.Start(background)
	}
	for _, c := range []struct {
		call string
		do   func(f *fixture) error
		want error
	}{
		{"CreateContainer", func(f *fixture) error {
			_, err := f.pod.CreateContainer(background, containerOptions("c1", "sleep"))
			return err
		}, errdefs.ErrUnavailable},
		{"StartContainer", func(f *fixture) error { return f.container("c1", "sleep").Start(background) }, errdefs.ErrUnavailable},
		{"ExecProcess", exec, errdefs.ErrUnavailable},
		{"SignalProcess", func(f *fixture) error { return start(f).Kill(background, "", 9, false) }, errdefs.ErrNotFound},
		{"StatsContainer", func(f *fixture) error {
			_, err := start(f).Stats(background)
			return err
		}, errdefs.ErrUnavailable},
		{"PauseContainer", func(f *fixture) error { return start(f).Pause(background) }, errdefs.ErrUnavailable},
		{"RemoveContainer", func(f *fixture) error { return f.container("c1", "sleep").Delete(background) }, nil},
		{"DestroySandbox", func(f *fixture) error { return f.pod.Stop(background) }, nil},
	} {
		t.Run(c.call, func(t *testing.T) {
			f := startedFixture(t, sharesSoon)
			arrived := f.agent.hangAt(c.call)
			result := make(chan error, 1)
			go func() { result <- c.do(f) }()
			await(t, arrived, c.call)
			began := time.Now()
			f.vm.die("killed by signal 9")
			err := leaktest.Receive(t, result)
			if took := time.Since(began); took > soon {
				t.Errorf("the call returned after %v", took)
			}
			if !errors.Is(err, c.want) {
				t.Errorf("the call returned %v, want %v", err, c.want)
			}
			await(t, f.pod.Done(), "the pod's end")
		})
	}
}

// Death at each step of the start is reported as that, at once, and undone.
func TestDeathWhileStarting(t *testing.T) {
	for _, step := range []string{StepAgent, StepGuestNetwork, StepGuestSandbox} {
		for _, victim := range []string{"vmm", "virtiofsd"} {
			t.Run(step+" "+victim, func(t *testing.T) {
				f := newFixture(t, sharesSoon)
				f.vm.bootHangs = step == StepAgent
				f.pod.runner.before = func(name string) error {
					if name == step {
						killers()[victim].kill(f)
						<-f.pod.life.ctx.Done()
					}
					return nil
				}
				began := time.Now()
				var failed *Failure
				if err := f.pod.Start(background); !errors.As(err, &failed) {
					t.Fatalf("start: %v", err)
				}
				if took := time.Since(began); took > soon {
					t.Errorf("start returned after %v", took)
				}
				if failed.Code != killers()[victim].code {
					t.Errorf("failure %v", failed)
				}
				if victim == "vmm" && failed.Console != "last words" {
					t.Errorf("console %q", failed.Console)
				}
				f.clean()
			})
		}
	}
}

// A guest that hangs holds a caller no longer than the caller wants.
func TestCallerGivesUp(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	arrived := f.agent.hangAt("StatsContainer")
	ctx, cancel := context.WithCancel(background)
	result := make(chan error, 1)
	go func() {
		_, err := c.Stats(ctx)
		result <- err
	}()
	await(t, arrived, "StatsContainer")
	cancel()
	wantIs(t, "stats", leaktest.Receive(t, result), context.Canceled)
	if f.pod.State() != StateRunning {
		t.Errorf("state %s", f.pod.State())
	}
}

// What a shim that crashed left is released from the ledger alone.
func TestCleanupAfterACrash(t *testing.T) {
	f := startedFixture(t, func(o *Options) { o.NetNS = "" })
	f.container("c1", "sleep")
	drivers := f.host.drivers(f.vm)
	wantIs(t, "clean-up of a pod that lives", cleanup(background, f.pod.dirs.state, drivers), errdefs.ErrFailedPrecondition)
	// The lock goes with the process, and so does nothing else.
	text, err := os.ReadFile(f.pod.dirs.ledger())
	if err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "pod1")
	if err := errors.Join(os.Mkdir(crashed, 0o700), os.WriteFile(ledgerIn(crashed), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := cleanup(background, crashed, drivers); err != nil {
			t.Fatal(err)
		}
	}
	_ = f.host.remove("check", "")
	if left := f.host.left(); len(left) != 1 || left[0] != "share "+f.pod.dirs.share() {
		t.Errorf("left on the host beside the processes: %q", left)
	}
	for _, gone := range []string{crashed, f.pod.dirs.vm} {
		if _, err := os.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", gone, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/storage"
)

// diskOptions are of a container whose files all come from disks.
func diskOptions(t *testing.T, id string) ContainerOptions {
	t.Helper()
	layer := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(layer, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	o := containerOptions(id, "sleep")
	o.Rootfs = []storage.Mount{{Type: "erofs", Source: layer}, {Type: "format/overlay", Options: []string{"lowerdir={{ mount 0 }}", "upperdir=/u", "workdir=/w"}}}
	return o
}

// steps are the names of the timeline that begin with one.
func (f *fixture) steps(name string) int {
	n := 0
	for _, s := range f.pod.Timeline() {
		if s.Name == name {
			n++
		}
	}
	return n
}

// hasShare checks whether there is a daemon, a device, and a step of the timeline.
func (f *fixture) hasShare(want bool) {
	f.t.Helper()
	daemon := slices.ContainsFunc(f.host.left(), func(thing string) bool { return strings.HasPrefix(thing, "share ") })
	if n := len(f.vm.Shares()); daemon != want || n != map[bool]int{true: 1}[want] || f.steps(StepShare) != n {
		f.t.Errorf("a daemon: %v, %d devices, %d steps of the timeline; want a share: %v", daemon, n, f.steps(StepShare), want)
	}
}

func TestAPodThatNeedsNoShareHasNone(t *testing.T) {
	f := startedFixture(t)
	pause, err := f.pod.CreatePause("pause", "/bundle")
	if err != nil {
		t.Fatal(err)
	}
	if err := pause.Start(background); err != nil {
		t.Fatal(err)
	}
	o := diskOptions(t, "c1")
	o.Spec.Mounts = engineMounts(t)
	if _, err := f.pod.CreateContainer(background, o); err != nil {
		t.Fatal(err)
	}
	f.hasShare(false)
	for _, call := range []string{"CreateSandbox", "CreateContainer"} {
		for _, s := range storagesOf(f, call) {
			if s.Driver == "virtio-fs" {
				t.Errorf("%s has %v", call, s)
			}
		}
	}
	if c := f.vm.Config(); !c.LaterShares || len(c.Shares) > 0 {
		t.Errorf("the VM's configuration: %+v", c)
	}
}

// engineMounts are those that containerd's CRI plugin gives each container.
func engineMounts(t *testing.T) []specs.Mount {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sandboxes", "pod1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var mounts []specs.Mount
	for _, name := range []string{"hostname", "hosts", "resolv.conf"} {
		source := filepath.Join(dir, name)
		if err := os.WriteFile(source, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		mounts = append(mounts, specs.Mount{Type: "bind", Source: source, Destination: "/etc/" + name, Options: []string{"rbind", "rprivate", "rw"}})
	}
	return append(mounts, specs.Mount{Type: "bind", Source: filepath.Join(dir, "shm"), Destination: "/dev/shm", Options: []string{"rbind", "rw"}})
}

// calls counts those of one name.
func (f *fixture) calls(name string) int {
	n := 0
	for _, call := range f.agent.history() {
		if call == name {
			n++
		}
	}
	return n
}

// Files of the engine are sent once for the pod, and again when they have changed.
func TestFilesOfTheEngine(t *testing.T) {
	f := startedFixture(t)
	mounts := engineMounts(t)
	create := func(id string, sent int) []*agentpb.Mount {
		o := diskOptions(t, id)
		o.Spec.Mounts = mounts
		if _, err := f.pod.CreateContainer(background, o); err != nil {
			t.Fatal(err)
		}
		if n := f.calls("CopyFile"); n != sent {
			t.Errorf("%d files were sent, want %d", n, sent)
		}
		return lastCall[*agentpb.CreateContainerRequest](f.agent, "CreateContainer").OCI.Mounts
	}
	first, second := create("c1", 3), create("c2", 3)
	for i := range first {
		if first[i].Source != second[i].Source {
			t.Errorf("one container has %v, the other %v", first[i], second[i])
		}
	}
	if err := os.WriteFile(mounts[1].Source, []byte("127.0.0.1 another"), 0o644); err != nil {
		t.Fatal(err)
	}
	create("c3", 4)
	if sent := lastCall[*agentpb.CopyFileRequest](f.agent, "CopyFile"); string(sent.Data) != "127.0.0.1 another" || sent.Path != first[1].Source {
		t.Errorf("sent was %v", sent)
	}
	f.agent.failAt("CopyFile", errdefs.ErrUnavailable)
	if err := os.WriteFile(mounts[0].Source, []byte("renamed"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := diskOptions(t, "c4")
	o.Spec.Mounts = mounts
	_, err := f.pod.CreateContainer(background, o)
	wantIs(t, "a file that cannot be sent", err, errdefs.ErrUnavailable)
	f.agent.failAt("CopyFile", nil)
	create("c4", 6)
	f.hasShare(false)
}

func storagesOf(f *fixture, call string) []*agentpb.Storage {
	if call == "CreateSandbox" {
		return lastCall[*agentpb.CreateSandboxRequest](f.agent, call).Storages
	}
	return lastCall[*agentpb.CreateContainerRequest](f.agent, call).Storages
}

// Containers that come side by side share one share, and each has the agent mount
// it, which does so once.
func TestTheShareIsMadeOnce(t *testing.T) {
	f := startedFixture(t)
	f.hasShare(false)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c, err := f.pod.CreateContainer(background, containerOptions(fmt.Sprintf("c%d", i), "sleep"))
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Start(background); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	f.hasShare(true)
	s := storagesOf(f, "CreateContainer")
	if len(s) == 0 || s[0].Driver != "virtio-fs" || s[0].Source != storage.ShareTag || s[0].MountPoint != storage.ShareMount || !s[0].Shared {
		t.Errorf("storages %v", s)
	}
	text, err := os.ReadFile(f.pod.dirs.timeline())
	if err != nil || !strings.Contains(string(text), `"share"`) {
		t.Errorf("timeline.json: %s, %v", text, err)
	}
	if got := f.pod.Info()["start_ms"]; got == "" {
		t.Error("the pod does not say how long its start took")
	}
}

// A share that cannot be made leaves nothing, and is made when it can be.
func TestAShareThatFailsIsTriedAgain(t *testing.T) {
	boom := fmt.Errorf("boom: %w", errdefs.ErrUnavailable)
	for name, failure := range map[string]func(f *fixture, err error){
		"mount":     func(f *fixture, err error) { f.host.failAt("mount", err) },
		"virtiofsd": func(f *fixture, err error) { f.host.failAt("share", err) },
		"plug":      func(f *fixture, err error) { f.vm.FailPlug(err) },
	} {
		t.Run(name, func(t *testing.T) {
			f := startedFixture(t)
			before := f.host.left()
			failure(f, boom)
			for range 2 {
				_, err := f.pod.CreateContainer(background, containerOptions("c1", "sleep"))
				wantIs(t, "a container", err, boom)
				if after := f.host.left(); !slices.Equal(before, after) {
					t.Errorf("host before %q, after %q", before, after)
				}
			}
			failure(f, nil)
			f.container("c1", "sleep")
			if len(f.vm.Shares()) != 1 || f.pod.State() != StateRunning {
				t.Errorf("shares %v of a pod that is %s", f.vm.Shares(), f.pod.State())
			}
		})
	}
}

// Whoever waits for the share does not wait longer than for its own context, or
// for the pod's end.
func TestStopWhileTheShareIsMade(t *testing.T) {
	f := startedFixture(t)
	begun, gate := make(chan struct{}), make(chan struct{})
	start := f.pod.drivers.StartShare
	f.pod.drivers.StartShare = func(ctx context.Context, c ShareConfig) (ShareDaemon, error) {
		close(begun)
		<-gate
		return start(ctx, c)
	}
	results := make(chan error, 2)
	create := func(ctx context.Context, id string) {
		_, err := f.pod.CreateContainer(ctx, containerOptions(id, "sleep"))
		results <- err
	}
	go create(background, "c1")
	await(t, begun, "the start of virtiofsd")
	impatient, cancel := context.WithCancel(background)
	go create(impatient, "c2")
	cancel()
	wantIs(t, "a container whose caller left", leaktest.Receive(t, results), context.Canceled)
	stopped := make(chan error, 1)
	go func() { stopped <- f.pod.Stop(background) }()
	await(t, f.pod.life.ctx.Done(), "the end of the pod's life")
	close(gate)
	if err := leaktest.Receive(t, results); err == nil {
		t.Error("a pod that was stopped has a container")
	}
	if err := leaktest.Receive(t, stopped); err != nil {
		t.Error(err)
	}
}

func TestTheDeathOfALateSharesDaemon(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	f.host.share.end(errors.New("segmentation fault"))
	if code := wait(t, c.Init()); code != 137 {
		t.Errorf("exit code %d", code)
	}
	await(t, f.pod.Done(), "the pod's end")
	if got := f.pod.Failure(); got == nil || got.Code != failure.VirtiofsdDied {
		t.Errorf("failure %v", got)
	}
}

// A VMM that takes no share later is refused before it boots, unless the share is
// there from the start, or none is wanted.
func TestAVMMWithoutLaterShares(t *testing.T) {
	bare := func(f *fixture) {
		f.pod.drivers.NewVM = func(c hypervisor.Config) (hypervisor.VM, error) {
			_, err := f.vm.create(c)
			return f.vm.Bare, err
		}
	}
	f := newFixture(t)
	bare(f)
	got := f.failsAt(StepVM, errdefs.ErrNotImplemented)
	if !strings.Contains(got.Error(), "shared file system") || f.pod.PID() != 0 {
		t.Errorf("failure %v of process %d", got, f.pod.PID())
	}
	for name, change := range map[string]func(*Options){
		"from the start": sharesSoon, "none": func(o *Options) { o.Config.Hypervisor.SharedFS = config.SharedFSNone },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, change)
			bare(f)
			if err := f.pod.Start(background); err != nil {
				t.Error(err)
			}
		})
	}
}

// An engine that gives up while its pod's share is made is no fault of virtiofsd, and a host that has no more of
// something none either.
func TestShareThatFailsForAnotherReason(t *testing.T) {
	for cause, want := range map[error]failure.Code{
		context.Canceled: failure.Cancelled, syscall.EMFILE: failure.HostExhausted, errors.New("boom"): failure.ShareFailed,
	} {
		f, _ := templated(t, sharesSoon)
		f.host.setState(network.State{}) // no interface, which is plugged beside the share
		f.agent.stuck = func(string) bool {
			f.vm.FailPlug(cause) // it runs already
			return false
		}
		if got := f.failsAt(StepGuestSandbox, cause); got.Code != want {
			t.Errorf("a share that cannot be plugged for %v: the code is %s, want %s", cause, got.Code, want)
		}
	}
}

// A process that is killed before it is in the pod's cgroup is not the cgroup's fault: whoever started it notices.
func TestProcessThatEndsBeforeItIsInTheCgroup(t *testing.T) {
	f := newFixture(t, sharesSoon, func(o *Options) { o.Config.Runtime.SandboxCgroupOnly = false })
	f.host.failAt("join", fmt.Errorf("write cgroup.procs: %w", syscall.ESRCH))
	if err := f.pod.Start(background); err != nil {
		t.Errorf("a pod whose daemon is gone already: %v", err)
	}
	if err := f.pod.Stop(background); err != nil {
		t.Error(err)
	}
	f = newFixture(t, sharesSoon, func(o *Options) { o.Config.Runtime.SandboxCgroupOnly = false })
	f.host.failAt("join", syscall.EPERM)
	var failed *Failure
	if err := f.pod.Start(background); !errors.As(err, &failed) || failed.Code != failure.CgroupFailed {
		t.Errorf("a cgroup that cannot be joined: %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/storage"
)

var background = context.Background()

func TestContainerRunsAndEnds(t *testing.T) {
	f := startedFixture(t)
	c := f.container("c1", "exit", "7")
	if c.Status() != StatusCreated || c.ID() != "c1" || c.Bundle() != "/bundle/c1" {
		t.Errorf("container %s of %s is %s", c.ID(), c.Bundle(), c.Status())
	}
	root := filepath.Join(f.pod.dirs.share(), "c1", "rootfs")
	if !slices.Contains(f.host.left(), "mount "+root) {
		t.Errorf("the root file system is not mounted: %q", f.host.left())
	}
	req := lastCall[*agentpb.CreateContainerRequest](f.agent, "CreateContainer")
	if req.OCI.Root.Path != "/run/kata-containers/shared/containers/c1/rootfs" || req.StdinPort == 0 || req.StdoutPort == 0 || req.StderrPort != 0 {
		t.Errorf("CreateContainer got %v", req)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	if code := wait(t, c.Init()); code != 7 {
		t.Errorf("exit code %d", code)
	}
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(root)); !os.IsNotExist(err) {
		t.Errorf("the directory of a deleted container: %v", err)
	}
	_, err := f.pod.Container("c1")
	wantIs(t, "a deleted container", err, errdefs.ErrNotFound)
	if slices.Contains(f.host.left(), "mount "+root) {
		t.Error("the root file system stays mounted")
	}
}

func TestStreams(t *testing.T) {
	for name, features := range map[string][]string{"streams of their own": {"katapod.stdio-streams"}, "calls": nil} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.agent.features = features
			if err := f.pod.Start(background); err != nil {
				t.Fatal(err)
			}
			c := f.running("c1", "cat")
			text := strings.Repeat("0123456789", 20000)
			go func() {
				_, _ = io.WriteString(c.Init().Stdin(), text)
				_ = c.CloseIO(background, "")
			}()
			got, err := io.ReadAll(c.Init().Stdout())
			if err != nil || string(got) != text {
				t.Errorf("cat gave %d bytes of %d, %v", len(got), len(text), err)
			}
			if code := wait(t, c.Init()); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if c.Init().Stderr() != nil {
				t.Error("a stream that nobody asked for")
			}
		})
	}
}

func TestExec(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	p, err := c.Exec(background, ExecOptions{ID: "e1", Process: &specs.Process{Args: []string{"print", "hello"}, Cwd: "/"}, Stdout: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Status() != StatusCreated || p.Stdout() != nil {
		t.Error("an exec that was not started runs")
	}
	wantIs(t, "a signal to an exec that was not started", c.Kill(background, "e1", 9, false), errdefs.ErrFailedPrecondition)
	if err := p.Start(background); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(p.Stdout())
	if err != nil || string(got) != "hello" {
		t.Errorf("exec printed %q, %v", got, err)
	}
	if code := wait(t, p); code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantIs(t, "a second start", p.Start(background), errdefs.ErrFailedPrecondition)
	wantIs(t, "a signal to an exec that ended", c.Kill(background, "e1", 9, false), errdefs.ErrNotFound)
	_, err = c.Exec(background, ExecOptions{ID: "e1", Process: &specs.Process{Args: []string{"sleep"}}})
	wantIs(t, "a second exec of an id", err, errdefs.ErrAlreadyExists)
	first := lastCall[*agentpb.ExecProcessRequest](f.agent, "ExecProcess").ExecId
	if err := c.DeleteExec("e1"); err != nil {
		t.Fatal(err)
	}
	again, err := c.Exec(background, ExecOptions{ID: "e1", Process: &specs.Process{Args: []string{"exit", "3"}, Cwd: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(background); err != nil {
		t.Fatal(err)
	}
	if code := wait(t, again); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if second := lastCall[*agentpb.ExecProcessRequest](f.agent, "ExecProcess").ExecId; second == first {
		t.Error("an exec id that is used again is the same in the guest")
	}
}

func TestKill(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	if err := c.Kill(background, "", 15, false); err != nil {
		t.Fatal(err)
	}
	if code := wait(t, c.Init()); code != 143 {
		t.Errorf("exit code %d", code)
	}
	if got := lastCall[*agentpb.SignalProcessRequest](f.agent, "SignalProcess"); got.ExecId != "c1" || got.Signal != 15 {
		t.Errorf("SignalProcess got %v", got)
	}
	wantIs(t, "a second signal", c.Kill(background, "", 9, false), errdefs.ErrNotFound)
	all := f.running("c2", "sleep")
	if err := all.Kill(background, "", 9, true); err != nil {
		t.Fatal(err)
	}
	wait(t, all.Init())
	if got := lastCall[*agentpb.SignalProcessRequest](f.agent, "SignalProcess"); got.ExecId != "" {
		t.Errorf("a signal to all went to %q", got.ExecId)
	}
}

func TestWrongStatesOfAContainer(t *testing.T) {
	f := startedFixture(t)
	created, running, stopped := f.container("created", "sleep"), f.running("running", "sleep"), f.running("stopped", "exit", "0")
	paused := f.running("paused", "sleep")
	wait(t, stopped.Init())
	if err := paused.Pause(background); err != nil {
		t.Fatal(err)
	}
	exec := func(c *Container) error {
		_, err := c.Exec(background, ExecOptions{ID: "x", Process: &specs.Process{Args: []string{"exit", "0"}}})
		return err
	}
	for _, c := range []struct {
		what string
		do   func(*Container) error
		bad  []*Container
	}{
		{"start", func(c *Container) error { return c.Start(background) }, []*Container{running, stopped, paused}},
		{"exec", exec, []*Container{created, stopped, paused}},
		{"pause", func(c *Container) error { return c.Pause(background) }, []*Container{created, stopped, paused}},
		{"resume", func(c *Container) error { return c.Resume(background) }, []*Container{created, stopped, running}},
		{"delete", func(c *Container) error { return c.Delete(background) }, []*Container{running, paused}},
		{"update", func(c *Container) error { return c.Update(background, &specs.LinuxResources{}) }, []*Container{stopped}},
	} {
		for _, bad := range c.bad {
			before := bad.Status()
			wantIs(t, c.what+" of "+bad.ID(), c.do(bad), errdefs.ErrFailedPrecondition)
			if bad.Status() != before {
				t.Errorf("%s made %s %s", c.what, bad.ID(), bad.Status())
			}
		}
	}
	_, err := f.pod.CreateContainer(background, containerOptions("running", "sleep"))
	wantIs(t, "a second container of an id", err, errdefs.ErrAlreadyExists)
	if err := paused.Resume(background); err != nil || paused.Status() != StatusRunning {
		t.Errorf("resume: %v, %s", err, paused.Status())
	}
	if err := created.Delete(background); err != nil {
		t.Error(err)
	}
}

// A container whose creation fails leaves nothing, whatever failed.
func TestContainerCreationFails(t *testing.T) {
	for name, set := range map[string]func(*fixture, *ContainerOptions){
		"mount":      func(f *fixture, _ *ContainerOptions) { f.host.fail["mount"] = os.ErrPermission },
		"agent":      func(f *fixture, _ *ContainerOptions) { f.agent.failAt("CreateContainer", errdefs.ErrInvalidArgument) },
		"no process": func(_ *fixture, o *ContainerOptions) { o.Spec.Process = nil },
		"root type":  func(_ *fixture, o *ContainerOptions) { o.Rootfs[0].Type = "no-such-type" },
		"source": func(_ *fixture, o *ContainerOptions) {
			o.Spec.Mounts = []specs.Mount{{Type: "bind", Source: "/no/such/file", Destination: "/x", Options: []string{"bind"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := startedFixture(t, sharesSoon)
			before := f.host.left()
			o := containerOptions("c1", "sleep")
			set(f, &o)
			if c, err := f.pod.CreateContainer(background, o); err == nil {
				t.Fatalf("container %s was made", c.ID())
			}
			if after := f.host.left(); !slices.Equal(before, after) {
				t.Errorf("host before %q, after %q", before, after)
			}
			if len(f.pod.Containers()) != 0 {
				t.Error("the pod has a container")
			}
			if entries, err := os.ReadDir(f.pod.dirs.share()); err != nil || len(entries) > 0 {
				t.Errorf("left on the share: %v, %v", entries, err)
			}
		})
	}
}

func TestBindMounts(t *testing.T) {
	f := startedFixture(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := containerOptions("c1", "sleep")
	o.Spec.Mounts = []specs.Mount{
		{Type: "bind", Source: file, Destination: "/etc/resolv.conf", Options: []string{"rbind", "ro"}},
		{Type: "bind", Source: dir, Destination: "/data", Options: []string{"rbind"}},
		{Type: "proc", Source: "proc", Destination: "/proc"},
	}
	c, err := f.pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(f.pod.dirs.share())
	if err != nil || len(entries) != 3 {
		t.Errorf("on the share: %v, %v", entries, err)
	}
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(f.pod.dirs.share()); err != nil || len(entries) > 0 {
		t.Errorf("left on the share: %v, %v", entries, err)
	}
}

func TestDiskRoot(t *testing.T) {
	f := startedFixture(t)
	image := filepath.Join(t.TempDir(), "root.img")
	if err := os.WriteFile(image, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	o := containerOptions("c1", "sleep")
	o.Rootfs = []storage.Mount{{Type: "ext4", Source: image, Options: []string{"loop", "rw"}}}
	c, err := f.pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	req := lastCall[*agentpb.CreateContainerRequest](f.agent, "CreateContainer")
	if len(req.Storages) != 1 || req.Storages[0].Driver != "blk" || req.Storages[0].Source == "" || req.OCI.Root.Path != "/run/kata-containers/c1/rootfs" {
		t.Errorf("CreateContainer got %v", req)
	}
	if len(f.vm.Disks()) != 1 {
		t.Errorf("disks %v", f.vm.Disks())
	}
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	if len(f.vm.Disks()) != 0 {
		t.Errorf("disks left %v", f.vm.Disks())
	}
}

func TestUpdateStatsResize(t *testing.T) {
	f := startedFixture(t)
	o := containerOptions("c1", "sleep")
	o.Terminal, o.Stderr = true, true
	c, err := f.pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	limit := int64(64 << 20)
	if err := c.Update(background, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}); err != nil {
		t.Fatal(err)
	}
	if got := lastCall[*agentpb.UpdateContainerRequest](f.agent, "UpdateContainer"); got.Resources.Memory.Limit != limit {
		t.Errorf("UpdateContainer got %v", got)
	}
	if s, err := c.Stats(background); err != nil || s.CgroupStats.PidsStats.Current != 3 {
		t.Errorf("stats %v, %v", s, err)
	}
	if err := c.Init().Resize(background, 80, 24); err != nil {
		t.Fatal(err)
	}
	if got := lastCall[*agentpb.TtyWinResizeRequest](f.agent, "TtyWinResize"); got.Row != 24 || got.Column != 80 {
		t.Errorf("TtyWinResize got %v", got)
	}
	if c.Init().Stderr() != nil {
		t.Error("a process with a terminal has a stderr")
	}
	other := f.running("c2", "sleep")
	wantIs(t, "resize without a terminal", other.Init().Resize(background, 1, 1), errdefs.ErrFailedPrecondition)
}

// The terminal of an exec has the size that was set before the start from its first moment on.
func TestResizeBeforeExec(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	p, err := c.Exec(background, ExecOptions{ID: "e1", Process: &specs.Process{Args: []string{"sleep"}, Cwd: "/"}, Terminal: true, Stdout: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []uint32{80, 81} {
		if err := p.Resize(background, width, 24); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Start(background); err != nil {
		t.Fatal(err)
	}
	got := lastCall[*agentpb.ExecProcessRequest](f.agent, "ExecProcess").Process.ConsoleSize
	if got.GetWidth() != 81 || got.GetHeight() != 24 || f.agent.called("TtyWinResize") >= 0 {
		t.Errorf("the exec started with the size %v, and calls %v", got, f.agent.history())
	}
	if err := p.Resize(background, 100, 30); err != nil {
		t.Fatal(err)
	}
	if got := lastCall[*agentpb.TtyWinResizeRequest](f.agent, "TtyWinResize"); got.Row != 30 || got.Column != 100 {
		t.Errorf("TtyWinResize got %v", got)
	}
}

// An exec that the agent refuses can be deleted, and the container goes on.
func TestExecFails(t *testing.T) {
	f := startedFixture(t)
	c := f.running("c1", "sleep")
	f.agent.failAt("ExecProcess", errdefs.ErrInvalidArgument)
	p, err := c.Exec(background, ExecOptions{ID: "e1", Process: &specs.Process{Args: []string{"no such program"}, Cwd: "/"}, Stdout: true})
	if err != nil {
		t.Fatal(err)
	}
	wantIs(t, "an exec that the agent refuses", p.Start(background), errdefs.ErrInvalidArgument)
	if p.Status() != StatusCreated || p.Stdout() != nil || f.agent.called("SignalProcess") < 0 {
		t.Errorf("the exec is %s, and its rest was not ended", p.Status())
	}
	if err := c.DeleteExec("e1"); err != nil {
		t.Error(err)
	}
	wait(t, p)
	wantIs(t, "an exec that was deleted", c.DeleteExec("e1"), errdefs.ErrNotFound)
	if c.Status() != StatusRunning {
		t.Errorf("the container is %s", c.Status())
	}
}

// Docker mounts a root file system itself, outside of the bundle, and names it in
// the spec alone.
func TestRootOfTheSpec(t *testing.T) {
	for path, want := range map[string]string{
		"/var/lib/engine/merged": "/var/lib/engine/merged", "root": "/bundle/c1/root", "": "/bundle/c1/rootfs",
	} {
		o := containerOptions("c1", "sleep")
		o.Rootfs, o.Spec.Root.Path = nil, path
		if got := o.root(); got != want {
			t.Errorf("the root %q is at %s, want %s", path, got, want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/sizing"
)

// The fixture's host has 4096 MiB, so that a VM of the default 2048 grows to that.

// limited is a container with a memory limit in MiB.
func limited(id string, mib int64) ContainerOptions {
	o := containerOptions(id, "sleep")
	o.Spec.Linux.Resources = memoryLimit(mib)
	return o
}

func mustCreate(t *testing.T, pod *Sandbox, o ContainerOptions) *Container {
	t.Helper()
	c, err := pod.CreateContainer(background, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func memoryLimit(mib int64) *specs.LinuxResources {
	bytes := mib << 20
	return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &bytes}}
}

// memoryIs compares what was plugged, what the guest was told to use last, and what
// the host allows, each in MiB.
func (f *fixture) memoryIs(plugged []int, used uint64, total int) {
	f.t.Helper()
	if got := f.vm.Memory(); !slices.Equal(got, plugged) {
		f.t.Errorf("plugged were %v, want %v", got, plugged)
	}
	if got := lastCall[*agentpb.OnlineCPUMemRequest](f.agent, "OnlineCPUMem").GetMemoryMib(); got != used {
		f.t.Errorf("the guest was told to use %d MiB, want %d", got, used)
	}
	if got := f.vm.Describe().MemoryMiB; got != total {
		f.t.Errorf("the VM has %d MiB, want %d", got, total)
	}
	if f.pod.options.Resources.MemoryBytes == 0 {
		return
	}
	f.host.mu.Lock()
	defer f.host.mu.Unlock()
	limit := f.host.covered[len(f.host.covered)-1]
	if want := sizing.HostLimits(f.pod.options.Resources, f.pod.size(), f.pod.options.Config.Hypervisor.Name).MemoryBytes; limit != want || limit < int64(total)<<20 {
		f.t.Errorf("the host allows %d bytes, want %d", limit, want)
	}
}

func withMemory(mib int64) func(*Options) {
	return func(o *Options) { o.Resources.MemoryBytes = mib << 20 }
}

// TestMemoryOfABoot is all there from the start, with room for more.
func TestMemoryOfABoot(t *testing.T) {
	f := startedFixture(t, withMemory(1000))
	if c := f.vm.Config(); c.MemoryMiB != 3072 || c.MaxMemoryMiB != 4096 || c.MemorySlots != 10 {
		t.Errorf("the VM's configuration is %+v", c)
	}
	mustCreate(t, f.pod, limited("c1", 1000))
	f.memoryIs(nil, 0, 3072)
}

// TestMemoryOfAClone is that of its template and of what is plugged before it runs.
func TestMemoryOfAClone(t *testing.T) {
	f, _ := templated(t, withMemory(1000))
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	if c := f.vm.Config(); c.From == nil || c.MemoryMiB != 2048 || c.MaxMemoryMiB != 4096 || c.MemorySlots != 10 {
		t.Errorf("the clone's configuration is %+v", c)
	}
	f.originIs(OriginTemplate, "")
	f.memoryIs([]int{1024}, 0, 3072)
	// The first container waits until the guest has it, later ones need not.
	mustCreate(t, f.pod, limited("c1", 500))
	f.memoryIs([]int{1024}, 3072, 3072)
	calls := len(f.agent.history())
	mustCreate(t, f.pod, limited("c2", 500))
	if slices.Contains(f.agent.history()[calls:], "OnlineCPUMem") {
		t.Error("the guest is asked again")
	}
}

// TestTemplateOfAllSizes: pods of different sizes have the same template, unless
// nothing can be plugged.
func TestTemplateOfAllSizes(t *testing.T) {
	shape := func(slots int, mib int64) hypervisor.Config {
		f := newFixture(t, withMemory(mib), func(o *Options) { o.Config.Hypervisor.MemorySlots = slots })
		if err := f.pod.check(background); err != nil {
			t.Fatal(err)
		}
		return f.pod.cloneConfig()
	}
	for _, c := range []struct {
		name                string
		slots               int
		mib                 int64
		base, most, through int
	}{
		{"no limit", 10, 0, 2048, 4096, 10},
		{"a limit", 10, 1000, 2048, 4096, 10},
		{"no limit, no slots", 0, 0, 2048, 0, 0},
		{"a limit, no slots", 0, 1000, 3072, 0, 0},
	} {
		if got := shape(c.slots, c.mib); got.MemoryMiB != c.base || got.MaxMemoryMiB != c.most || got.MemorySlots != c.through {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestCloneThatCannotGrow boots in its place.
func TestCloneThatCannotGrow(t *testing.T) {
	t.Run("VMM", func(t *testing.T) {
		f, _ := templated(t, withMemory(1000))
		create := f.pod.drivers.NewVM
		f.pod.drivers.NewVM = func(c hypervisor.Config) (hypervisor.VM, error) {
			if c.MemoryMiB == 2048 { // the clone
				return fake.NewBare(c), nil
			}
			return create(c)
		}
		if err := f.pod.Start(background); err != nil {
			t.Fatal(err)
		}
		f.originIs(OriginBoot, "plugging memory")
		f.memoryIs(nil, 0, 3072)
	})
	t.Run("host", func(t *testing.T) {
		f, templates := templated(t, withMemory(1000))
		create := f.pod.drivers.NewVM
		f.pod.drivers.NewVM = func(c hypervisor.Config) (hypervisor.VM, error) {
			vm, err := create(c)
			if c.From != nil {
				vm.(*fake.VM).FailPlug(errors.New("no memory"))
			}
			return vm, err
		}
		if err := f.pod.Start(background); err != nil {
			t.Fatal(err)
		}
		f.originIs(OriginBoot, "no memory")
		f.memoryIs(nil, 0, 3072)
		if len(templates.removed) > 0 {
			t.Errorf("removed are %v", templates.removed)
		}
	})
}

// TestMemoryForContainers: the VM grows with what its containers may use together.
func TestMemoryForContainers(t *testing.T) {
	f := startedFixture(t, withMemory(128))
	mustCreate(t, f.pod, limited("c1", 1000))
	mustCreate(t, f.pod, containerOptions("c2", "sleep"))
	f.memoryIs(nil, 0, 2176)
	mustCreate(t, f.pod, limited("c3", 1000))
	f.memoryIs([]int{1920}, 4096, 4096)
	if got := f.host.covered; len(got) != 2 || got[0] >= got[1] {
		t.Errorf("the host allowed %v", got)
	}
	_, err := f.pod.CreateContainer(background, limited("c4", 2000))
	if !errors.Is(err, errdefs.ErrFailedPrecondition) || !strings.Contains(err.Error(), "default_maxmemory") {
		t.Errorf("more than the host has: %v", err)
	}
	f.memoryIs([]int{1920}, 4096, 4096)
	if i := slices.IndexFunc(f.pod.Timeline(), func(s Step) bool { return s.Name == StepMemory }); i < 0 {
		t.Errorf("the timeline is %v", f.pod.Timeline())
	}
}

// TestMemoryOfContainersThatEnded is free for those that come.
func TestMemoryOfContainersThatEnded(t *testing.T) {
	f := startedFixture(t)
	o := limited("init", 1500)
	o.Spec.Process.Args = []string{"exit", "0"}
	first := mustCreate(t, f.pod, o)
	if err := first.Start(background); err != nil {
		t.Fatal(err)
	}
	wait(t, first.Init())
	mustCreate(t, f.pod, limited("main", 1500))
	f.memoryIs(nil, 0, 2048)
}

func TestMemoryOfAnUpdate(t *testing.T) {
	f := startedFixture(t)
	c := mustCreate(t, f.pod, limited("c1", 1000))
	if err := c.Update(background, memoryLimit(1900)); err != nil {
		t.Fatal(err)
	}
	f.memoryIs([]int{1920}, 3968, 3968)
	if err := c.Update(background, memoryLimit(4000)); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("more than the host has: %v", err)
	}
	if got := lastCall[*agentpb.UpdateContainerRequest](f.agent, "UpdateContainer").GetResources().GetMemory().GetLimit(); got != 1900<<20 {
		t.Errorf("the guest's limit is %d", got)
	}
	if got := c.allowance().MemoryBytes; got != 1900<<20 {
		t.Errorf("the container counts with %d", got)
	}
	// Less gives nothing back, what is not named stays.
	shares := uint64(7)
	for _, r := range []*specs.LinuxResources{memoryLimit(10), {CPU: &specs.LinuxCPU{Shares: &shares}}} {
		if err := c.Update(background, r); err != nil {
			t.Error(err)
		}
	}
	f.memoryIs([]int{1920}, 3968, 3968)
	if got := c.allowance(); got.MemoryBytes != 10<<20 || got.CPUShares != 7 {
		t.Errorf("the container counts with %+v", got)
	}
}

func TestMemoryOfAPodUpdate(t *testing.T) {
	f := startedFixture(t, withMemory(64))
	if err := f.pod.Update(background, sizing.Request{MemoryBytes: 2000 << 20, CPUShares: 9}); err != nil {
		t.Fatal(err)
	}
	f.memoryIs([]int{1920}, 4096, 4096)
	if f.host.limits.CPUShares != 9 || f.host.limits.MemoryBytes != 0 {
		t.Errorf("the host's group got %+v last", f.host.limits)
	}
}

// TestMemoryThatCannotCome names why, and leaves the VM as it was.
func TestMemoryThatCannotCome(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		options func(*Options)
		prepare func(*fixture)
		want    error
		plugged int
	}{
		"no slots": {func(o *Options) { o.Config.Hypervisor.MemorySlots = 0 }, func(*fixture) {}, errdefs.ErrFailedPrecondition, 0},
		"VMM":      {func(*Options) {}, func(f *fixture) { f.vm.FailPlug(boom) }, boom, 0},
		"host":     {withMemory(64), func(f *fixture) { f.host.failAt("limits", boom) }, boom, 0},
		"guest":    {func(*Options) {}, func(f *fixture) { f.agent.failAt("OnlineCPUMem", errdefs.ErrUnavailable) }, errdefs.ErrUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := startedFixture(t, c.options)
			c.prepare(f)
			_, err := f.pod.CreateContainer(background, limited("c1", 2000))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "memory") {
				t.Errorf("error %v", err)
			}
			if got := f.vm.Memory(); len(got) != c.plugged {
				t.Errorf("plugged were %v", got)
			}
			if len(f.pod.Containers()) > 0 {
				t.Error("the container is still there")
			}
			f.vm.FailPlug(nil)
			f.agent.failAt("OnlineCPUMem", nil)
			if name == "guest" { // What is plugged is used by the next.
				mustCreate(t, f.pod, limited("c1", 2000))
				f.memoryIs([]int{2048}, 4096, 4096)
			}
		})
	}
}

// TestMemoryOfALargeGuest: kernels that boot with 64 GiB take memory in blocks that a
// module need not have.
func TestMemoryOfALargeGuest(t *testing.T) {
	f := newFixture(t)
	f.agent.memoryBlock = 2 << 30
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	_, err := f.pod.CreateContainer(background, limited("c1", 2000))
	if !errors.Is(err, errdefs.ErrFailedPrecondition) || !strings.Contains(err.Error(), "blocks of 2048 MiB") {
		t.Errorf("error %v", err)
	}
	f.memoryIs(nil, 0, 2048)
	mustCreate(t, f.pod, limited("c2", 1000))
}

// TestMemoryForManyAtOnce: containers that are made at a time have the VM grow by what
// they need together, whoever comes first.
func TestMemoryForManyAtOnce(t *testing.T) {
	f := startedFixture(t)
	var all sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			if _, err := f.pod.CreateContainer(context.Background(), limited(id, 500)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := f.vm.Describe().MemoryMiB; got != 4096 {
		t.Errorf("the VM has %d MiB after %v", got, f.vm.Memory())
	}
}

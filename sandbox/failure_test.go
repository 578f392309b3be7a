// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
)

// provocation makes a pod fail.
type provocation struct {
	options func(o *Options)
	// before prepares what makes the start fail; after ends a pod that is up.
	before, after func(f *fixture)
}

// provocations has one for each code.
func provocations() map[failure.Code]provocation {
	missing := func(set func(h *config.Hypervisor)) provocation {
		return provocation{before: func(f *fixture) { f.checks(set) }}
	}
	vmFails := func(err error) provocation { return provocation{before: func(f *fixture) { f.vm.startErr = err }} }
	hostFails := func(what string, err error) provocation {
		return provocation{options: sharesSoon, before: func(f *fixture) { f.host.failAt(what, err) }}
	}
	dies := func(how string) provocation {
		return provocation{options: sharesSoon, after: func(f *fixture) { killers()[how].kill(f) }}
	}
	boom, none := errors.New("boom"), "/nonexistent"
	return map[failure.Code]provocation{
		failure.ConfigInvalid:       vmFails(errdefs.ErrInvalidArgument),
		failure.Unsupported:         vmFails(errdefs.ErrNotImplemented),
		failure.TooLarge:            {options: func(o *Options) { o.Resources.MemoryBytes = 1 << 40 }},
		failure.KernelMissing:       missing(func(h *config.Hypervisor) { h.Kernel = none }),
		failure.KernelCorrupt:       vmFails(hypervisor.Because(hypervisor.ErrKernel, errdefs.ErrInvalidArgument)),
		failure.ImageMissing:        missing(func(h *config.Hypervisor) { h.Image = none }),
		failure.ImageCorrupt:        vmFails(hypervisor.Because(hypervisor.ErrImage, errdefs.ErrInvalidArgument)),
		failure.VMMMissing:          missing(func(h *config.Hypervisor) { h.Path = none }),
		failure.VMMFailed:           vmFails(boom),
		failure.VMMDied:             dies("vmm"),
		failure.AcceleratorUnusable: vmFails(hypervisor.Because(hypervisor.ErrAcceleratorUnusable, boom)),
		failure.HostOOM:             {before: func(f *fixture) { f.host.oomKills = 1 }, after: func(f *fixture) { killers()["vmm"].kill(f) }},
		failure.HostExhausted:       hostFails("tap", fmt.Errorf("open /dev/net/tun: %w", syscall.EMFILE)),
		failure.StateDirFailed:      {before: func(f *fixture) { f.takeVMDir() }},
		failure.CgroupFailed:        hostFails("cgroup", boom),
		failure.VirtiofsdMissing:    missing(func(h *config.Hypervisor) { h.VirtioFSDaemon = none }),
		failure.VirtiofsdDied:       dies("virtiofsd"),
		failure.ShareFailed:         hostFails("share", boom),
		failure.NetworkUnsupported:  hostFails("tap", errdefs.ErrNotImplemented),
		failure.NetworkFailed:       hostFails("scan", boom),
		failure.GuestPanicked:       dies("guest panic"),
		failure.GuestHangs: {
			before: func(f *fixture) {
				f.pod.liveness = quick()
				f.agent.stuck = func(call string) bool { return call == "Check" && f.pod.State() == StateRunning }
			},
			after: func(*fixture) {},
		},
		failure.GuestHostile: {after: func(f *fixture) { f.vm.sendFrameOf4GiB() }},
		failure.AgentTimeout: {options: func(o *Options) { o.Config.Agent.DialTimeout = 1 }, before: func(f *fixture) { f.vm.bootHangs = true }},
		failure.AgentLost:    dies("agent"),
		failure.AgentFailed:  {before: func(f *fixture) { f.agent.failAt("CreateSandbox", errdefs.ErrInvalidArgument) }},
		failure.Cancelled:    {before: func(f *fixture) { f.atStep(StepVM, f.cancel) }},
		failure.Stopped:      {before: func(f *fixture) { f.atStep(StepVM, func() { f.pod.beginStop(background) }) }},
		failure.Internal:     {before: func(f *fixture) { f.pod.runner.before = func(string) error { return boom } }},
	}
}

// Every code is that of a pod that really failed, and its report is there.
func TestEveryCodeIsProvoked(t *testing.T) {
	all := provocations()
	for _, about := range failure.All() {
		t.Run(string(about.Code), func(t *testing.T) {
			p, known := all[about.Code]
			if !known {
				t.Fatalf("nothing provokes the code %s; add how a pod comes to it", about.Code)
			}
			f := newFixture(t)
			if p.options != nil {
				f = newFixture(t, p.options)
			}
			f.provoke(p)
			f.isReported(about.Code)
		})
		delete(all, about.Code)
	}
	for code := range all {
		t.Errorf("the code %s is provoked but not explained", code)
	}
}

// provoke makes the pod fail.
func (f *fixture) provoke(p provocation) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	f.cancel = cancel
	if p.before != nil {
		p.before(f)
	}
	err := f.pod.Start(ctx)
	if (err == nil) != (p.after != nil) {
		f.t.Fatalf("start: error %v", err)
	}
	if p.after != nil {
		p.after(f)
	}
	await(f.t, f.pod.Done(), "the end of a pod that failed")
}

// isReported looks for the report in each of its places.
func (f *fixture) isReported(code failure.Code) {
	f.t.Helper()
	got := f.pod.Failure()
	if got == nil || got.Code != code {
		f.t.Fatalf("failure %v, want the code %s", got, code)
	}
	f.t.Log(got)
	for _, says := range []string{"pod pod1 ", "[" + string(code) + "]; " + code.Remedy()} {
		if !strings.Contains(got.Error(), says) {
			f.t.Errorf("the line %q does not say %q", got, says)
		}
	}
	kept, err := failure.Records(f.pod.options.Config.Runtime.FailuresDir())
	if err != nil || len(kept) != 1 {
		f.t.Fatalf("records %v, error %v", kept, err)
	}
	beside, err := failure.Read(filepath.Join(f.pod.options.Bundle, failure.FileName))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range []*failure.Report{kept[0], beside} {
		if r.Error() != got.Error() || r.Namespace != "test" {
			f.t.Errorf("a report says %q of namespace %s, the error %q", r, r.Namespace, got)
		}
	}
}

// atStep does something when a step of the start is to begin.
func (f *fixture) atStep(name string, do func()) {
	f.pod.runner.before = func(step string) error {
		if step == name {
			do()
		}
		return nil
	}
}

// checks has the pod look for its files as a real one does; set removes one.
func (f *fixture) checks(set func(h *config.Hypervisor)) {
	c := config.Default()
	h := &c.Hypervisor
	h.Path, h.VirtioFSDaemon, h.Kernel, h.Image = "/bin/true", "/bin/true", "/bin/true", "/bin/true"
	h.Initrd = ""
	set(h)
	f.pod.drivers.Check = func(config.Config) error { return checkFiles(c) }
}

// takeVMDir puts a file in the place of the VM's directory.
func (f *fixture) takeVMDir() {
	if err := errors.Join(os.MkdirAll(filepath.Dir(f.pod.dirs.vm), 0o700), os.WriteFile(f.pod.dirs.vm, nil, 0o600)); err != nil {
		f.t.Fatal(err)
	}
}

// A second pod of an id has nothing to do with the failure of the first.
func TestReportOfAnEarlierPodGoes(t *testing.T) {
	f := newFixture(t)
	dir := f.pod.options.Config.Runtime.FailuresDir()
	f.provoke(provocations()[failure.VMMFailed])
	again, err := New(f.pod.options, f.host.drivers(f.vm))
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := failure.Records(dir); err != nil || len(kept) > 0 {
		t.Errorf("records %v, error %v", kept, err)
	}
	if err := again.Stop(background); err != nil {
		t.Error(err)
	}
}

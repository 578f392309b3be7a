// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/template"
)

// fakeTemplates has one template, or the error of looking for it.
type fakeTemplates struct {
	one              template.Template
	err, requestErr  error
	requested, begun int
	changed          bool // its files, since it was found
	removed          []template.Key
}

func (f *fakeTemplates) Find(context.Context, hypervisor.VM, hypervisor.Config) (template.Template, error) {
	return f.one, f.err
}

func (f *fakeTemplates) Key(context.Context, hypervisor.VM, hypervisor.Config) (template.Key, error) {
	if f.changed {
		return "k2", nil
	}
	return f.one.Key, nil
}

func (f *fakeTemplates) Request(hypervisor.Config) (func(), error) {
	f.requested++
	return func() { f.begun++ }, f.requestErr
}

func (f *fakeTemplates) Remove(key template.Key) error {
	f.removed = append(f.removed, key)
	return nil
}

// templated is a fixture whose pod has a template.
func templated(t *testing.T, change ...func(*Options)) (*fixture, *fakeTemplates) {
	t.Helper()
	f := newFixture(t, change...)
	dir := t.TempDir()
	saved := hypervisor.Snapshot{Memory: filepath.Join(dir, "memory"), State: filepath.Join(dir, "state")}
	for _, path := range []string{saved.Memory, saved.State} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	templates := &fakeTemplates{one: template.Template{Key: "k1", Snapshot: saved}}
	f.pod.drivers.Templates = templates
	return f, templates
}

// TestCloneGetsItsDevices when it has been renewed, and before the pod is up.
func TestCloneGetsItsDevices(t *testing.T) {
	f, templates := templated(t)
	f.agent.stuck = func(call string) bool {
		if nics := f.vm.NICs(); len(nics) > 0 && (call == "ReseedRandomDev" || call == "SetGuestDateTime") {
			t.Errorf("at %s the clone has the devices %v", call, nics)
		}
		return false
	}
	if err := f.pod.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := f.vm.Config()
	if c.From == nil || *c.From != templates.one.Snapshot || !c.Held || len(c.NICs) > 0 {
		t.Errorf("the clone's configuration is %+v", c)
	}
	if nics := f.vm.NICs(); len(nics) != 1 {
		t.Errorf("the clone has the devices %v", nics)
	}
	if f.vm.Paused() {
		t.Error("the clone does not run")
	}
	for _, l := range f.pod.network.list() {
		if l.path == "" || len(l.files) > 0 {
			t.Errorf("interface %s is at %q with %d open queues", l.endpoint.Name, l.path, len(l.files))
		}
	}
	if templates.requested != 0 || len(templates.removed) != 0 {
		t.Errorf("templates: %+v", templates)
	}
	f.originIs(OriginTemplate, "")
}

// TestCloneThatTakesNoDevices: its pod has no network, and the template is not to
// blame.
func TestCloneThatTakesNoDevices(t *testing.T) {
	f, templates := templated(t)
	full := errors.New("no slot is free")
	f.agent.stuck = func(string) bool {
		f.vm.FailPlug(full) // it runs already
		return false
	}
	if got := f.failsAt(StepGuestNetwork, full); got.Code != failure.NetworkFailed {
		t.Errorf("the code is %s", got.Code)
	}
	if len(templates.removed) != 0 {
		t.Errorf("removed are %v", templates.removed)
	}
}

// originIs looks at what the pod says, and at what it wrote.
func (f *fixture) originIs(kind, reason string) {
	f.t.Helper()
	o := f.pod.Origin()
	if o.Kind != kind || !strings.Contains(o.Reason, reason) || (o.Template != "") != (kind == OriginTemplate) {
		f.t.Errorf("the pod's origin is %+v, want %s and %q", o, kind, reason)
	}
	text, err := os.ReadFile(f.pod.dirs.timeline())
	if err != nil {
		f.t.Fatal(err)
	}
	var written struct{ Origin Origin }
	if err := json.Unmarshal(text, &written); err != nil || written.Origin != o {
		f.t.Errorf("timeline.json says %+v, %v", written.Origin, err)
	}
}

// TestCloneIsRenewedFirst: random numbers and clock come before all that the pod
// has made in the guest.
func TestCloneIsRenewedFirst(t *testing.T) {
	f, _ := templated(t)
	if err := f.pod.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, early := range []string{"ReseedRandomDev", "SetGuestDateTime"} {
		for _, late := range []string{"CreateSandbox", "UpdateInterface"} {
			if e, l := f.agent.called(early), f.agent.called(late); e < 0 || l < 0 || e > l {
				t.Errorf("%s is call %d, %s call %d", early, e, late, l)
			}
		}
	}
}

// TestCloneThatIsNotRenewed does not become a pod, and no other comes from its
// template.
func TestCloneThatIsNotRenewed(t *testing.T) {
	for _, call := range []string{"ReseedRandomDev", "SetGuestDateTime"} {
		t.Run(call, func(t *testing.T) {
			f, templates := templated(t)
			f.agent.failAt(call, errdefs.ErrUnavailable)
			f.failsAt(StepAgent, errdefs.ErrUnavailable)
			if len(templates.removed) != 1 {
				t.Errorf("removed are %v", templates.removed)
			}
		})
	}
}

// TestCloneThatDoesNotStart boots in its place. Only a template that is to blame
// is removed.
func TestCloneThatDoesNotStart(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		removed int
	}{
		"template": {hypervisor.Because(hypervisor.ErrSnapshot, errors.New("no migration stream")), 1},
		"host":     {errors.New("no memory"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, templates := templated(t)
			create := f.pod.drivers.NewVM
			f.pod.drivers.NewVM = func(cfg hypervisor.Config) (hypervisor.VM, error) {
				vm, err := create(cfg)
				if cfg.From != nil {
					vm.(*fake.VM).FailStart(c.err)
				}
				return vm, err
			}
			if err := f.pod.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			if cfg := f.vm.Config(); cfg.From != nil || cfg.Held || len(cfg.NICs) != 1 {
				t.Errorf("the VM that booted has the configuration %+v", cfg)
			}
			if len(templates.removed) != c.removed {
				t.Errorf("removed are %v", templates.removed)
			}
			f.originIs(OriginBoot, c.err.Error())
		})
	}
}

// TestFilesThatChangeMeanwhile: a clone whose disk is not its template's never runs.
func TestFilesThatChangeMeanwhile(t *testing.T) {
	f, templates := templated(t)
	templates.changed = true
	if err := f.pod.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if f.vm.Config().From != nil {
		t.Error("the clone runs")
	}
	if len(templates.removed) > 0 {
		t.Errorf("removed are %v", templates.removed)
	}
	f.originIs(OriginBoot, "replaced meanwhile")
}

// TestWithoutTemplate boots, and says why.
func TestWithoutTemplate(t *testing.T) {
	missing, corrupt, other := errdefs.ErrNotFound, errdefs.ErrDataLoss, errors.New("built lately in vain")
	for name, c := range map[string]struct {
		find, request error
		reason        string
		requested     int
	}{
		"none yet":          {missing, nil, "no template for VMs like this one", 1},
		"corrupt":           {corrupt, nil, "another one is made", 1},
		"of no use":         {other, nil, other.Error(), 0},
		"not to be made":    {missing, other, other.Error(), 1},
		"a VMM without any": {errdefs.ErrNotImplemented, nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, templates := templated(t)
			templates.err, templates.requestErr = c.find, c.request
			if err := f.pod.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			f.originIs(OriginBoot, c.reason)
			begun := c.requested
			if c.request != nil {
				begun = 0
			}
			if templates.requested != c.requested || templates.begun != begun {
				t.Errorf("%d were asked for and %d begun", templates.requested, templates.begun)
			}
		})
	}
	f := startedFixture(t)
	f.originIs(OriginBoot, errNoTemplates.Error())
}

// TestFailedPodLetsItsTemplateBeMade, since the next pod wants it.
func TestFailedPodLetsItsTemplateBeMade(t *testing.T) {
	f, templates := templated(t)
	templates.err = errdefs.ErrNotFound
	boom := errors.New("boom")
	f.host.fail["tap"] = boom
	f.failsAt(StepNetwork, boom)
	if templates.begun != 1 {
		t.Errorf("%d were begun", templates.begun)
	}
}

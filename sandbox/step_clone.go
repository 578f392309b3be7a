// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/sandbox/template"
)

// startClone brings up a clone of the pod's template, if it has one, that does
// not run yet. It needs neither the pod's network nor its share, which are made
// meanwhile. When it fails the VM boots; a template that is to blame is removed.
func (s *Sandbox) startClone(ctx context.Context) error {
	var from *template.Template
	s.parts.with(func(p *parts) { from = p.template })
	if from == nil {
		return nil
	}
	c := s.cloneConfig()
	c.From, c.Held = &from.Snapshot, true
	vm, err := s.drivers.NewVM(c)
	if err != nil {
		return err
	}
	s.parts.with(func(p *parts) { p.vm = vm })
	if err = vm.Start(ctx); err == nil {
		if err = s.unchanged(ctx, vm, c, from.Key); err == nil {
			err = s.plugRest(ctx, vm)
		}
		if err != nil {
			err = errors.Join(err, s.undoVM(context.WithoutCancel(ctx)))
		}
	}
	switch {
	case err == nil:
		s.parts.with(func(p *parts) { p.booted = true })
		// It ends with the VM or with the pod's life.
		go s.watchVM(vm)
		return nil
	case ctx.Err() != nil:
		return err
	}
	s.log.WithError(err).WithField("template", string(from.Key)).Warn("a pod could not be cloned from its template: it boots")
	s.parts.with(func(p *parts) { p.vm = nil })
	why := fmt.Errorf("the template could not be used: %w", err)
	if errors.Is(err, hypervisor.ErrSnapshot) {
		why = errors.Join(why, s.drivers.Templates.Remove(from.Key))
	}
	s.setBoot(why)
	return nil
}

// unchanged sees that the files of a clone are those of its template still, now
// that the VMM has them open: an upgrade of the guest's image between the choice of
// the template and here would give it another disk than it remembers.
func (s *Sandbox) unchanged(ctx context.Context, vm hypervisor.VM, c hypervisor.Config, want template.Key) error {
	key, err := s.drivers.Templates.Key(ctx, vm, c)
	if err == nil && key != want {
		err = errors.New("the VMM, the kernel or the image was replaced meanwhile")
	}
	return err
}

// runClone lets a clone run. Its devices come when its agent has answered: a guest
// that begins by setting them up answers that much later, and nothing can be asked
// of it meanwhile.
func (s *Sandbox) runClone(ctx context.Context) error {
	p, err := hypervisor.AsPauser(s.machine())
	if err != nil {
		return err
	}
	return p.Resume(ctx)
}

// plugNetwork gives a clone the pod's network devices. A VM that boots has them from
// the start.
func (s *Sandbox) plugNetwork(ctx context.Context) error {
	if !s.cloned() {
		return nil
	}
	defer s.network.closeFiles() // the VMM has its own
	plugger, err := hypervisor.AsNICPlugger(s.machine())
	if err != nil {
		return err
	}
	for _, l := range s.network.list() {
		path, err := plugger.PlugNIC(ctx, l.nic())
		if err != nil {
			return fmt.Errorf("plug interface %s into the VM: %w", l.endpoint.Name, err)
		}
		s.network.placed(l.endpoint.Index, path)
	}
	return nil
}

// placed notes where the guest finds a link.
func (n *podNetwork) placed(index int, path hypervisor.PCIPath) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.links {
		if n.links[i].endpoint.Index == index {
			n.links[i].path = path
		}
	}
}

// cloned tells whether the VM is a clone.
func (s *Sandbox) cloned() bool { return s.Origin().Kind == OriginTemplate }

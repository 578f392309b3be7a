// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/sandbox/template"
)

// How a pod's VM came up, in timelines.
const (
	OriginTemplate = "template"
	OriginBoot     = "boot"
)

// Origin is how a pod's VM came up.
type Origin struct {
	// Kind is OriginTemplate or OriginBoot.
	Kind string `json:"kind"`
	// Template is the key of the template that it was cloned from.
	Template string `json:"template,omitempty"`
	// Reason says why it was not cloned.
	Reason string `json:"reason,omitempty"`
}

// Origin tells how the pod's VM comes up, once that is known.
func (s *Sandbox) Origin() (o Origin) {
	s.parts.with(func(p *parts) { o = p.origin })
	return o
}

// chooseOrigin looks for a template, and has one made if there is none. No
// failure of it is the pod's: a VM can always boot.
func (s *Sandbox) chooseOrigin(ctx context.Context) error {
	found, err := s.findTemplate(ctx)
	if err != nil {
		s.setBoot(err)
		return nil
	}
	s.parts.with(func(p *parts) {
		p.template = &found
		p.origin = Origin{Kind: OriginTemplate, Template: string(found.Key)}
	})
	return nil
}

// setBoot makes the VM boot, for a reason.
func (s *Sandbox) setBoot(why error) {
	s.log.WithField("reason", why).Debug("the VM boots")
	s.parts.with(func(p *parts) {
		p.template = nil
		p.origin = Origin{Kind: OriginBoot, Reason: why.Error()}
	})
}

var errNoTemplates = errors.New("templates are switched off")

// findTemplate returns the template for the pod; the error says why there is
// none.
func (s *Sandbox) findTemplate(ctx context.Context) (template.Template, error) {
	templates := s.drivers.Templates
	if templates == nil {
		return template.Template{}, errNoTemplates
	}
	c := s.cloneConfig()
	vm, err := s.drivers.NewVM(c)
	if err != nil {
		return template.Template{}, err
	}
	if c.MemoryMiB < s.size().MemoryMiB {
		if _, err := hypervisor.AsMemoryPlugger(vm); err != nil {
			return template.Template{}, err
		}
	}
	found, err := templates.Find(ctx, vm, c)
	if !errdefs.IsNotFound(err) && !errdefs.IsDataLoss(err) {
		return found, err
	}
	c.User = builderUser(s.options.Config)
	begin, requestErr := templates.Request(c)
	if requestErr != nil {
		return template.Template{}, requestErr
	}
	s.parts.with(func(p *parts) { p.beginTemplate = begin })
	if errdefs.IsDataLoss(err) {
		return template.Template{}, fmt.Errorf("%w; another one is made", err)
	}
	return template.Template{}, errors.New("there is no template for VMs like this one yet; one is made")
}

// releaseTemplate lets the building of a template begin, which would have kept
// the pod waiting.
func (s *Sandbox) releaseTemplate() {
	var begin func()
	s.parts.with(func(p *parts) { begin, p.beginTemplate = p.beginTemplate, nil })
	if begin != nil {
		begin()
	}
}

// cloneConfig is that of a VM with nothing in it that comes later. Its memory is that
// of all pods, if what a pod needs more can be plugged.
func (s *Sandbox) cloneConfig() hypervisor.Config {
	c := s.vmConfig()
	c.Disks, c.NICs, c.Shares = nil, nil, nil
	if c.MemorySlots > 0 {
		c.MemoryMiB = s.bounds().Base()
	}
	return c
}

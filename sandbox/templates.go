// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/template"
)

// Templates are the saved VMs that pods can start from.
type Templates interface {
	// Find returns the saved VM for VMs made from c; vm is one of them, not
	// started. None is errdefs.ErrNotFound.
	Find(ctx context.Context, vm hypervisor.VM, c hypervisor.Config) (template.Template, error)
	// Key names the template that Find would look for.
	Key(ctx context.Context, vm hypervisor.VM, c hypervisor.Config) (template.Key, error)
	// Request has one made. Nothing is done before begin is called. It is asked
	// for before the caller is in a pod's cgroup.
	Request(c hypervisor.Config) (begin func(), err error)
	// Remove removes one that turned out to be of no use.
	Remove(key template.Key) error
}

// HostTemplates are the [Templates] of the directory that the configuration
// names; nil when it switches templates off. They are made by processes of
// program, whose main serves [template.Command] with [ServeBuilder].
func HostTemplates(c config.Config, program string) Templates {
	if !c.Factory.EnableTemplate {
		return nil
	}
	return hostTemplates{store: template.Store{Dir: c.TemplateDir()}, program: program}
}

type hostTemplates struct {
	store   template.Store
	program string
}

// Key implements [Templates].
func (h hostTemplates) Key(ctx context.Context, vm hypervisor.VM, c hypervisor.Config) (template.Key, error) {
	return template.KeyOf(ctx, vm, c)
}

// Find implements [Templates]. The cause of a failure to build one lately comes
// with the error.
func (h hostTemplates) Find(ctx context.Context, vm hypervisor.VM, c hypervisor.Config) (template.Template, error) {
	key, err := template.KeyOf(ctx, vm, c)
	if err != nil {
		return template.Template{}, err
	}
	if err := h.store.Failed(key); err != nil {
		return template.Template{}, err
	}
	return h.store.Find(ctx, key)
}

// Request implements [Templates].
func (h hostTemplates) Request(c hypervisor.Config) (func(), error) {
	return template.Spawn(h.program, template.Request{Store: h.store, Config: c, Unhurried: true})
}

// Remove implements [Templates].
func (h hostTemplates) Remove(key template.Key) error { return h.store.Remove(key) }

// MakeTemplate makes the template for pods of the configuration's own size that
// say nothing else, and waits for it.
func MakeTemplate(ctx context.Context, c config.Config, program string) error {
	drivers, err := DefaultDrivers(c)
	if err != nil {
		return err
	}
	s := &Sandbox{options: Options{Config: c}, drivers: drivers}
	if err := s.check(ctx); err != nil {
		return err
	}
	r := template.Request{Store: template.Store{Dir: c.TemplateDir()}, Config: s.cloneConfig()}
	r.Config.User = builderUser(c)
	if err := template.Run(ctx, program, r); err != nil {
		return fmt.Errorf("make a template: %w", err)
	}
	return nil
}

// ServeBuilder is the main of a process that makes a template, see [HostTemplates].
func ServeBuilder(ctx context.Context, input io.Reader) error {
	return template.Serve(ctx, input, newQEMU)
}

// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"

	"github.com/katapod/katapod/sandbox"
)

// Real is the Factory of real VMs, with the drivers that the configuration names.
func Real(o sandbox.Options) (Sandbox, error) {
	drivers, err := sandbox.DefaultDrivers(o.Config)
	if err != nil {
		return nil, err
	}
	// The shim itself makes templates, as another process, see its main.
	drivers.Templates = sandbox.HostTemplates(o.Config, "/proc/self/exe")
	s, err := sandbox.New(o, drivers)
	if err != nil {
		return nil, err
	}
	return realSandbox{s}, nil
}

// realSandbox and realContainer turn concrete results into interfaces.
type realSandbox struct{ *sandbox.Sandbox }

func (s realSandbox) CreateContainer(ctx context.Context, o sandbox.ContainerOptions) (Container, error) {
	c, err := s.Sandbox.CreateContainer(ctx, o)
	if err != nil {
		return nil, err
	}
	return realContainer{c}, nil
}

func (s realSandbox) CreatePause(id, bundle string) (Container, error) {
	c, err := s.Sandbox.CreatePause(id, bundle)
	if err != nil {
		return nil, err
	}
	return realContainer{c}, nil
}

type realContainer struct{ *sandbox.Container }

func (c realContainer) Init() Process { return c.Container.Init() }

func (c realContainer) Exec(ctx context.Context, o sandbox.ExecOptions) (Process, error) {
	p, err := c.Container.Exec(ctx, o)
	if err != nil {
		return nil, err
	}
	return p, nil
}

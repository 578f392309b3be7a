// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"

	"github.com/katapod/katapod/shim/stdio"
)

// attach connects the engine's outputs with the guest's.
func (p *process) attach() {
	p.streams.Attach(stdio.Guest{Stdout: p.guest.Stdout(), Stderr: p.guest.Stderr()})
}

// CloseIO lets the input of a process end once the engine's writers are gone.
func (s *Service) CloseIO(_ context.Context, r *taskapi.CloseIORequest) (*empty, error) {
	_, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if r.Stdin {
		if err := p.streams.CloseStdin(); err != nil {
			return nil, err
		}
	}
	return &empty{}, nil
}

// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
)

// State is where a container stands in its life, see the package's picture.
type State string

// The states of a container.
const (
	Creating State = "creating"
	Created  State = "created"
	Running  State = "running"
	Paused   State = "paused"
	Stopped  State = "stopped"
)

// next lists the states that may follow each state.
func next(s State) []State {
	switch s {
	case Creating:
		return []State{Created, Stopped}
	case Created:
		return []State{Running, Stopped}
	case Running:
		return []State{Paused, Stopped}
	case Paused:
		return []State{Running, Stopped}
	default:
		return nil
	}
}

// to changes the state, or says why it cannot be.
func (c *Container) to(s State) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(next(c.state), s) {
		return fmt.Errorf("container %s is %s and cannot become %s: %w", c.id, c.state, s, errdefs.ErrFailedPrecondition)
	}
	c.state = s
	return nil
}

// State returns the state of the container.
func (c *Container) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// require returns an error unless the container is in one of the states.
func (c *Container) require(what string, states ...State) error {
	if s := c.State(); !slices.Contains(states, s) {
		return fmt.Errorf("%s: container %s is %s: %w", what, c.id, s, errdefs.ErrFailedPrecondition)
	}
	return nil
}

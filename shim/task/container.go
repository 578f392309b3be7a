// SPDX-License-Identifier: Apache-2.0

package task

import (
	"fmt"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/podkind"
)

// container is a container and its processes.
type container struct {
	id, bundle string
	kind       podkind.Kind
	guest      pod.Container
	// order is held through calls that change the container, whose events come in their
	// order then. It is taken before a process's starting.
	order sync.Mutex

	// mu guards what follows.
	mu        sync.Mutex
	processes map[string]*process // init has the key ""
	shot      bool                // SIGKILL was asked for
	oomKills  uint64
	counters  *agentpb.StatsContainerResponse // the newest that were asked for
	// oomed is closed at the first out-of-memory kill.
	oomed chan struct{}
}

func newContainer(id, bundle string, kind podkind.Kind, init *process) *container {
	return &container{
		id: id, bundle: bundle, kind: kind,
		processes: map[string]*process{"": init}, oomed: make(chan struct{}),
	}
}

// init is the container's first process.
func (c *container) init() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[""]
}

func (c *container) process(execID string) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, found := c.processes[execID]; found {
		return p, nil
	}
	return nil, fmt.Errorf("exec %s of container %s: %w", execID, c.id, errdefs.ErrNotFound)
}

// all lists the processes, in no order.
func (c *container) all() []*process {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*process, 0, len(c.processes))
	for _, p := range c.processes {
		list = append(list, p)
	}
	return list
}

func (c *container) add(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes[p.execID] = p
}

func (c *container) remove(execID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.processes, execID)
}

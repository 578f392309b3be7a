// SPDX-License-Identifier: Apache-2.0

package task

import (
	"time"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/log"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/pod"
)

const (
	// exitKilled is 128 + SIGKILL.
	exitKilled = 137
)

// ForwardOOM counts and publishes the out-of-memory kills of a pod until it ends.
func (s *Service) ForwardOOM(vm pod.Sandbox) {
	for {
		select {
		case id := <-vm.OOMEvents():
			c, err := s.container(id)
			if err != nil {
				// The guest's word counts for its own containers only.
				log.L.WithField("container", id).Debug("the guest tells of an out-of-memory kill in a container that is not its own")
				continue
			}
			s.Events.Publish(&events.TaskOOM{ContainerID: id})
			c.countOOM()
		case <-vm.Done():
			return
		}
	}
}

func (c *container) countOOM() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.oomKills == 0 {
		close(c.oomed)
	}
	c.oomKills++
}

// shoot remembers that SIGKILL was asked for.
func (c *container) shoot() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shot = true
}

func (c *container) wasShot() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shot
}

// awaitOOM holds an exit back that SIGKILL caused and nobody asked for, while
// the pod is up. What ends because it is deleted was asked for.
func (s *Service) awaitOOM(c *container, p *process) {
	code, _ := p.guest.ExitStatus()
	if code != exitKilled || c.wasShot() || p.isDeleted() {
		return
	}
	vm, err := s.Pod.Sandbox()
	if err != nil || vm.State() != sandbox.StateRunning {
		return
	}
	timer := time.NewTimer(timeouts.OOM)
	defer timer.Stop()
	select {
	case <-c.oomed:
	case <-vm.Done():
	case <-timer.C:
	}
}

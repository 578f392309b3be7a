// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"fmt"
	"sync"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/shim/pod"
)

// Publisher takes events; it never blocks and keeps their order.
type Publisher interface {
	Publish(event proto.Message)
}

// Setup is what a service needs from the process it runs in.
type Setup struct {
	// Namespace is containerd's.
	Namespace string
	// ConfigPath is the file that the runtime's options named at start; those of
	// a Create call take precedence.
	ConfigPath string
	// Configure reads a pod's configuration, as pod.Configure does.
	Configure func(ctx context.Context, annotations map[string]string, option string) (config.Config, error)
	// Pod holds the shim's sandbox.
	Pod *pod.Pod
	// Events takes what happened.
	Events Publisher
	// Shutdown makes the process leave once its last container is gone.
	Shutdown func()
}

// Service is the Task service of one shim. It is safe for concurrent use.
type Service struct {
	Setup

	// mu guards what follows. It is not held during a call to the pod.
	mu         sync.Mutex
	containers map[string]*container
	reserved   map[string]bool // ids whose Create has not returned
	began      bool            // a container of this service began the pod
}

// New returns a service without containers.
func New(s Setup) *Service {
	return &Service{Setup: s, containers: map[string]*container{}, reserved: map[string]bool{}}
}

// container returns a container that was created, or errdefs.ErrNotFound.
func (s *Service) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, found := s.containers[id]; found {
		return c, nil
	}
	return nil, fmt.Errorf("container %s: %w", id, errdefs.ErrNotFound)
}

// process returns a process of a container: its init for an empty exec id.
func (s *Service) process(id, execID string) (*container, *process, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.process(execID)
	return c, p, err
}

// reserve claims an id for a Create call, so that the call need not hold a lock.
func (s *Service) reserve(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.containers[id] != nil || s.reserved[id] {
		return fmt.Errorf("container %s: %w", id, errdefs.ErrAlreadyExists)
	}
	s.reserved[id] = true
	return nil
}

// settle ends a reservation; c is nil when the call failed.
func (s *Service) settle(id string, c *container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reserved, id)
	if c != nil {
		s.containers[id] = c
	}
}

func (s *Service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, id)
}

// Checkpoint is not there: what a VM's containers hold cannot be told apart from
// the VM's own state.
func (s *Service) Checkpoint(_ context.Context, r *taskapi.CheckpointTaskRequest) (*empty, error) {
	return nil, fmt.Errorf("checkpoint of container %s: checkpoints are not implemented by this runtime: %w", r.ID, errdefs.ErrNotImplemented)
}

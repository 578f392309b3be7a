// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
)

// Store holds the guest's containers by name. Make it with [NewStore].
type Store struct {
	// mu guards what follows. No container is called under it.
	mu         sync.Mutex
	containers map[string]*Container
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{containers: map[string]*Container{}} }

// Reserve takes a name for a container that is about to be made. It is found
// only after Put; Drop gives the name back.
func (s *Store) Reserve(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.containers[id]; taken {
		return fmt.Errorf("container %s: %w", id, errdefs.ErrAlreadyExists)
	}
	s.containers[id] = nil
	return nil
}

// Put enters a container under its reserved name.
func (s *Store) Put(c *Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.containers[c.ID()] = c
}

// Drop removes a name.
func (s *Store) Drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, id)
}

// Get returns a container.
func (s *Store) Get(id string) (*Container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[id]
	if c == nil {
		return nil, fmt.Errorf("container %s: %w", id, errdefs.ErrNotFound)
	}
	return c, nil
}

// All returns every container.
func (s *Store) All() []*Container {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(s.containers)), func(c *Container) bool { return c == nil })
}

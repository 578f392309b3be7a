// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/protocols/agentpb"
)

// Manager makes storages and counts who uses them. Make it with [New].
type Manager struct {
	finder  *device.Finder
	runner  Runner
	drivers map[string]driver

	// mu guards what follows. It is not held while a storage is made, which entry.ready tells.
	mu      sync.Mutex
	entries map[string]*entry
	order   []string
}

// entry is one storage that is made, or is being made.
type entry struct {
	// ready is closed once the making has ended; err says how.
	ready chan struct{}
	err   error

	users  int
	shared bool
	undo   func() error
}

// request is one storage with whom it is for.
type request struct {
	*agentpb.Storage
	// bundle is the directory of the container; empty for the pod's storages.
	bundle string
}

// driver makes one storage and returns what undoes it.
type driver func(ctx context.Context, r request) (undo func() error, err error)

// Runner runs a command to its end and returns its exit code.
type Runner interface {
	RunCommand(cmd *exec.Cmd) (int, error)
}

// New returns a manager that has made nothing.
func New(finder *device.Finder, runner Runner) *Manager {
	m := &Manager{finder: finder, runner: runner, entries: map[string]*entry{}}
	m.drivers = m.table()
	return m
}

// Drivers returns the names of the drivers, sorted.
func (m *Manager) Drivers() []string {
	var names []string
	for name := range m.drivers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Add makes the storages in order and returns what gives them back, in reverse.
// If one cannot be made, those before it are given back. bundle is the
// directory of the container they are for, empty for the pod.
func (m *Manager) Add(ctx context.Context, bundle string, storages []*agentpb.Storage) (release func() error, err error) {
	var made []string
	release = func() error {
		var errs []error
		for _, key := range slices.Backward(made) {
			errs = append(errs, m.drop(key, false))
		}
		made = nil
		return errors.Join(errs...)
	}
	for _, s := range storages {
		key, err := m.add(ctx, request{s, bundle})
		if err != nil {
			return nil, errors.Join(err, release())
		}
		made = append(made, key)
	}
	return release, nil
}

func (m *Manager) add(ctx context.Context, r request) (string, error) {
	make, ok := m.drivers[r.GetDriver()]
	if !ok {
		return "", fmt.Errorf("no storage driver %q, there are %q: %w", r.GetDriver(), m.Drivers(), errdefs.ErrInvalidArgument)
	}
	key := r.MountPoint
	if key == "" {
		key = r.Driver + " " + r.Source
	}
	e, first := m.join(key, r.Shared)
	if first {
		e.undo, e.err = make(ctx, r)
		if e.err == nil {
			e.err = applyFSGroup(r.MountPoint, r.FsGroup)
		}
		close(e.ready)
	}
	<-e.ready
	if e.err != nil {
		return "", errors.Join(fmt.Errorf("make the %s storage at %q: %w", r.Driver, r.MountPoint, e.err), m.drop(key, false))
	}
	return key, nil
}

// join adds a user to a storage; the first one makes it.
func (m *Manager) join(key string, shared bool) (e *entry, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, there := m.entries[key]
	if !there {
		e = &entry{ready: make(chan struct{})}
		m.entries[key] = e
		m.order = append(m.order, key)
	}
	e.users++
	e.shared = e.shared || shared
	return e, !there
}

// drop takes a user away, and the storage with the last one. all takes every
// user away, and shared ones too.
func (m *Manager) drop(key string, all bool) error {
	m.mu.Lock()
	e := m.entries[key]
	if e == nil {
		m.mu.Unlock()
		return nil
	}
	e.users--
	if !all && (e.users > 0 || e.shared && e.err == nil) {
		m.mu.Unlock()
		return nil
	}
	delete(m.entries, key)
	m.order = slices.DeleteFunc(m.order, func(k string) bool { return k == key })
	m.mu.Unlock()
	if e.undo == nil {
		return nil
	}
	return e.undo()
}

// Close takes every storage away, the last made first.
func (m *Manager) Close() error {
	m.mu.Lock()
	keys := slices.Clone(m.order)
	m.mu.Unlock()
	var errs []error
	for _, key := range slices.Backward(keys) {
		errs = append(errs, m.drop(key, true))
	}
	return errors.Join(errs...)
}

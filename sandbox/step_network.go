// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/network"
)

// errOtherVM refuses a network namespace whose interfaces lead to a VM already:
// docker run --network=container:NAME.
var errOtherVM = fmt.Errorf("the network of another container was asked for, which belongs to another VM; "+
	"connect both to one network (docker network create), or run both in one pod of Kubernetes or CRI: %w", errdefs.ErrNotImplemented)

// startNetNS settles the pod's namespace.
func (s *Sandbox) startNetNS(ctx context.Context) error {
	netns, err := s.ensureNetNS(ctx)
	if err != nil {
		return err
	}
	s.network.mu.Lock()
	s.network.netns = netns
	s.network.mu.Unlock()
	return nil
}

// undoNetNS takes the namespace away if it was made here.
func (s *Sandbox) undoNetNS(ctx context.Context) error {
	if s.network.path() != s.dirs.netns() {
		return nil
	}
	return s.resources.release(ctx, netnsOf(s.dirs.netns()))
}

// startNetwork connects what is in the pod's namespace already.
func (s *Sandbox) startNetwork(ctx context.Context) error {
	if !s.networked() {
		return nil
	}
	s.network.binding.Lock()
	defer s.network.binding.Unlock()
	state, err := s.scan()
	if err != nil {
		return err
	}
	if len(state.Taps) > 0 {
		return errOtherVM
	}
	for _, ep := range state.Endpoints {
		l, err := s.connect(ctx, ep)
		if err != nil {
			return err
		}
		s.network.add(l)
	}
	s.network.routes, s.network.neighbors = state.Routes, state.Neighbors
	return nil
}

// ensureNetNS returns the path of the pod's namespace, which it makes if the
// engine gave none.
func (s *Sandbox) ensureNetNS(ctx context.Context) (string, error) {
	switch {
	case s.options.NetNS != "":
		return s.options.NetNS, nil
	case s.options.Config.Runtime.DisableNewNetNS:
		return "", nil
	}
	path := s.dirs.netns()
	err := s.resources.acquire(ctx, netnsOf(path), func() error { return s.drivers.Network.Create(path) })
	if err != nil {
		return "", fmt.Errorf("make a network namespace for the pod: %w", err)
	}
	return path, nil
}

// startGuestNetwork tells the guest what it was connected to, with devices that a
// clone gets now.
func (s *Sandbox) startGuestNetwork(ctx context.Context) error {
	s.network.binding.Lock()
	defer s.network.binding.Unlock()
	if err := s.plugNetwork(ctx); err != nil {
		return err
	}
	links := s.network.list()
	if len(links) == 0 {
		return nil
	}
	return s.describeNetwork(ctx, links, network.State{Routes: s.network.routes, Neighbors: s.network.neighbors})
}

// undoNetwork takes the TAP devices away, those plugged later included.
func (s *Sandbox) undoNetwork(ctx context.Context) error {
	s.network.closeFiles()
	var errs []error
	for _, l := range s.network.list() {
		errs = append(errs, s.resources.release(ctx, tapOf(s.network.path(), l.tap, l.device)))
	}
	return errors.Join(errs...)
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/timeouts"
)

// watchNetwork gives the guest what an engine changes in the pod's namespace
// while the pod runs (docker network connect, and disconnect), until it ends. It
// begins when the first process is about to run: an engine that plugs late has
// described by then what it had only half described before.
func (s *Sandbox) watchNetwork() {
	netns := s.network.path()
	if netns == "" || !s.networked() {
		return
	}
	changes, err := s.drivers.Network.Watch(netns)
	if err != nil {
		s.log.WithError(err).Warn("networks that are connected to this pod while it runs will not reach it")
		return
	}
	defer context.AfterFunc(s.life.ctx, func() { _ = changes.Close() })()
	defer func() { _ = changes.Close() }()
	select {
	case <-s.network.bound:
	case <-s.life.ctx.Done():
		return
	}
	for {
		if err := changes.Wait(); err != nil {
			if !s.life.over() {
				s.log.WithError(err).Warn("the pod does not follow its network any more")
			}
			return
		}
		if err := s.bindNetwork(s.life.ctx); err != nil && !s.life.over() {
			s.log.WithError(err).Error("the pod's network has changed and the guest's has not")
		}
		// The engine may be about to write Docker's server into resolv.conf, and
		// nothing tells when it has.
		s.offerNames(s.life.ctx)
	}
}

// unplugAbsent takes links from the guest whose interfaces have left the
// namespace. It returns those that cannot be unplugged, without their addresses,
// for the guest to hear of.
func (s *Sandbox) unplugAbsent(ctx context.Context, state network.State) ([]link, error) {
	present := map[int]bool{}
	for _, ep := range state.Endpoints {
		present[ep.Index] = true
	}
	var changed []link
	for _, l := range s.network.list() {
		switch {
		case present[l.endpoint.Index]:
		case l.path == "": // it came with the VM, and stays with it
			if len(l.endpoint.Addresses) > 0 {
				l.endpoint.Addresses = nil
				s.network.replace(l)
				changed = append(changed, l)
			}
		default:
			if err := s.unplug(ctx, l); err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}

// cutLost cuts the devices off whose TAP somebody has deleted. One that can go goes,
// and comes again with a new TAP, since its interface is still there. It returns those
// that cannot, without their addresses, for the guest to hear of.
func (s *Sandbox) cutLost(ctx context.Context, state network.State) ([]link, error) {
	var changed []link
	for _, l := range s.network.list() {
		if l.cut || slices.Contains(state.Taps, l.tap) {
			continue
		}
		s.log.WithFields(map[string]any{"interface": l.endpoint.Name, "tap": l.tap}).
			Error("somebody has deleted the TAP device of this pod's network; an interface that was plugged is plugged again, others are lost")
		if err := s.cut(ctx, l); err != nil {
			return changed, err
		}
		if l.path != "" {
			if err := s.unplug(ctx, l); err != nil {
				return changed, err
			}
			continue
		}
		l.cut, l.endpoint.Addresses = true, nil
		s.network.replace(l)
		changed = append(changed, l)
	}
	return changed, nil
}

// cut takes the VMM's end of a TAP away.
func (s *Sandbox) cut(ctx context.Context, l link) error {
	plugger, err := hypervisor.AsNICPlugger(s.machine())
	if err != nil {
		return fmt.Errorf("the TAP of interface %s has gone: %w", l.endpoint.Name, err)
	}
	bounded, cancel := s.life.during(ctx, timeouts.Request)
	defer cancel()
	if err := plugger.CutNIC(bounded, l.nic().ID); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("the TAP of interface %s has gone: %w", l.endpoint.Name, err)
	}
	return nil
}

// unplug takes a link that was plugged into the running VM from it.
func (s *Sandbox) unplug(ctx context.Context, l link) error {
	plugger, err := hypervisor.AsNICPlugger(s.machine())
	if err != nil {
		return fmt.Errorf("interface %s has gone: %w", l.endpoint.Name, err)
	}
	bounded, cancel := s.life.during(ctx, timeouts.Unplug)
	defer cancel()
	if err := plugger.UnplugNIC(bounded, l.nic().ID); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("unplug interface %s from the VM: %w", l.endpoint.Name, err)
	}
	s.network.remove(l)
	err = s.resources.release(ctx, tapOf(s.network.path(), l.tap, l.device))
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("unplug interface %s: %w", l.endpoint.Name, err)
	}
	s.log.WithField("interface", l.endpoint.Name).Info("an interface was unplugged from the running VM")
	return nil
}

// replace puts a link in the place of the one with its index.
func (n *podNetwork) replace(l link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.links {
		if n.links[i].endpoint.Index == l.endpoint.Index {
			n.links[i] = l
		}
	}
}

// remove forgets a link.
func (n *podNetwork) remove(l link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var kept []link
	for _, other := range n.links {
		if other.endpoint.Index != l.endpoint.Index {
			kept = append(kept, other)
		}
	}
	n.links = kept
}

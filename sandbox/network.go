// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/config"
)

// podNetwork is what of the pod's network namespace the guest has.
type podNetwork struct {
	// binding is held while the namespace is compared with the guest.
	binding sync.Mutex
	// bound is closed when the namespace was compared for the first process.
	bound     chan struct{}
	boundOnce sync.Once
	// names begins to answer for names, at most once in the pod's life.
	names sync.Once
	// warned counts warnings about an empty namespace.
	warned int

	// mu guards what follows. It is taken under binding, and not held during a call.
	mu    sync.Mutex
	netns string
	links []link
	// routes and neighbors are what the guest was told.
	routes    []network.Route
	neighbors []network.Neighbor
}

// link is an endpoint that the guest has.
type link struct {
	endpoint network.Endpoint
	tap      string
	device   string     // the endpoint's name when it was joined
	files    []*os.File // queues, until the VMM has them
	vhost    []*os.File // of vhost-net, one per queue or none, as long
	// path is where the guest finds a device that was plugged later.
	path hypervisor.PCIPath
	// cut says that the TAP is gone, of a device that cannot go.
	cut bool
}

// path is the pod's network namespace; empty is the host's.
func (n *podNetwork) path() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.netns
}

// list returns a copy of the links.
func (n *podNetwork) list() []link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.links)
}

// add remembers a link.
func (n *podNetwork) add(l link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = append(n.links, l)
}

// nics are the links as devices of the VM.
func (n *podNetwork) nics() []hypervisor.NIC {
	var nics []hypervisor.NIC
	for _, l := range n.list() {
		nics = append(nics, l.nic())
	}
	return nics
}

func (l link) nic() hypervisor.NIC {
	nic := hypervisor.NIC{
		ID:  fmt.Sprintf("nic%d", l.endpoint.Index),
		MAC: l.endpoint.MAC.String(),
		MTU: l.endpoint.MTU,
	}
	for _, f := range l.files {
		nic.TapFDs = append(nic.TapFDs, int(f.Fd()))
	}
	for _, f := range l.vhost {
		nic.VhostFDs = append(nic.VhostFDs, int(f.Fd()))
	}
	return nic
}

// closeFiles closes the queues, which the VMM has by now, or never will.
func (n *podNetwork) closeFiles() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.links {
		n.links[i].closeFiles()
	}
}

func (l *link) closeFiles() {
	closeAll(l.files)
	closeAll(l.vhost)
	l.files, l.vhost = nil, nil
}

// networked tells whether the guest gets what is in the pod's namespace.
func (s *Sandbox) networked() bool {
	return s.options.Config.Runtime.InternetworkingModel != config.NetworkNone
}

// scan reads the pod's namespace.
func (s *Sandbox) scan() (network.State, error) {
	state, err := s.drivers.Network.Scan(s.network.path())
	if err != nil {
		return network.State{}, fmt.Errorf("read the pod's network namespace %s: %w", s.network.path(), err)
	}
	for _, note := range state.Notes {
		s.log.WithField("netns", s.network.path()).Debug(note)
	}
	// Once when the pod starts, and once when its first process does: an engine
	// that plugs late has done so by then.
	if len(state.Endpoints) == 0 && s.network.warned < 2 {
		s.network.warned++
		s.log.WithField("netns", s.network.path()).Warn("the pod's network namespace has no interface but the loopback: as it is, the pod has no network")
	}
	return state, nil
}

// connect joins an endpoint to a new TAP device.
func (s *Sandbox) connect(ctx context.Context, ep network.Endpoint) (link, error) {
	l := link{endpoint: ep, tap: network.TapName(ep.Index), device: ep.Name}
	netns := s.network.path()
	err := s.resources.acquire(ctx, tapOf(netns, l.tap, l.device), func() (err error) {
		l.files, err = s.drivers.Network.Connect(netns, l.tap, ep, s.size().Queues)
		return err
	})
	if err == nil {
		err = s.accelerate(&l)
	}
	if err != nil {
		return link{}, fmt.Errorf("join interface %s (%s) to the VM: %w", ep.Name, ep.Kind, err)
	}
	return l, nil
}

// bindNetwork makes the guest's network what is in the pod's namespace now:
// engines plug interfaces after a container was created and before it is
// started, and others while it runs.
func (s *Sandbox) bindNetwork(ctx context.Context) error {
	if !s.networked() {
		return nil
	}
	s.network.binding.Lock()
	defer s.network.binding.Unlock()
	state, err := s.scan()
	if err != nil {
		return err
	}
	changed, err := s.unplugAbsent(ctx, state)
	if err != nil {
		return err
	}
	lost, err := s.cutLost(ctx, state)
	if err != nil {
		return err
	}
	changed = append(changed, lost...)
	for _, ep := range state.Endpoints {
		l, news, err := s.follow(ctx, ep)
		if err != nil {
			return err
		}
		if news {
			changed = append(changed, l)
		}
	}
	if err := s.describeNetwork(ctx, changed, state); err != nil {
		return err
	}
	s.network.boundOnce.Do(func() { close(s.network.bound) })
	return nil
}

// follow plugs an endpoint that is new, and tells whether the guest has to hear
// of it.
func (s *Sandbox) follow(ctx context.Context, ep network.Endpoint) (l link, news bool, err error) {
	s.network.mu.Lock()
	for i := range s.network.links {
		known := &s.network.links[i]
		if known.endpoint.Index == ep.Index {
			if known.cut {
				s.network.mu.Unlock()
				return l, false, nil
			}
			news = !sameEndpoint(known.endpoint, ep)
			known.endpoint = ep
			l = *known
			s.network.mu.Unlock()
			return l, news, nil
		}
	}
	s.network.mu.Unlock()
	l, err = s.plug(ctx, ep)
	return l, err == nil, err
}

// plug adds an endpoint to the running VM.
func (s *Sandbox) plug(ctx context.Context, ep network.Endpoint) (link, error) {
	plugger, err := hypervisor.AsNICPlugger(s.machine())
	if err != nil {
		return link{}, fmt.Errorf("interface %s appeared after the VM was started: %w", ep.Name, err)
	}
	l, err := s.connect(ctx, ep)
	if err != nil {
		return link{}, err
	}
	defer l.closeFiles()
	bounded, cancel := s.life.during(ctx, timeouts.Request)
	defer cancel()
	path, err := plugger.PlugNIC(bounded, l.nic())
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Release)
		defer cancel()
		if err := s.resources.release(undo, tapOf(s.network.path(), l.tap, l.device)); err != nil {
			s.log.WithError(err).Warn("cannot take back an interface that the VM refused")
		}
		return link{}, fmt.Errorf("plug interface %s into the VM: %w", ep.Name, err)
	}
	known := link{endpoint: ep, tap: l.tap, device: l.device, path: path}
	s.network.add(known)
	s.log.WithFields(map[string]any{"interface": ep.Name, "mac": ep.MAC.String()}).Info("an interface was plugged into the running VM")
	return known, nil
}

func sameEndpoint(a, b network.Endpoint) bool {
	return a.Name == b.Name && a.MTU == b.MTU && a.NoARP == b.NoARP &&
		slices.Equal(a.MAC, b.MAC) && slices.Equal(a.Addresses, b.Addresses)
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/qemu"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/storage"
	"github.com/katapod/katapod/sandbox/turnstile"
)

// DefaultDrivers are the real ones, with the VMM that the configuration names.
// One that is not built in is errdefs.ErrNotImplemented.
func DefaultDrivers(c config.Config) (Drivers, error) {
	if c.Hypervisor.Name != qemu.Name {
		return Drivers{}, fmt.Errorf("the hypervisor %q is not built in; configure %q: %w",
			c.Hypervisor.Name, qemu.Name, errdefs.ErrNotImplemented)
	}
	d := hostDrivers()
	d.NewVM = newQEMU
	return d, nil
}

func newQEMU(c hypervisor.Config) (hypervisor.VM, error) { return qemu.New(c), nil }

// hostDrivers are those that every VMM has in common.
func hostDrivers() Drivers {
	return Drivers{
		Check:        checkFiles,
		UserClaims:   userClaims,
		EnterStart:   turnstile.New(startPlaces, startsAtOnce()).Enter,
		NewCgroup:    newHostCgroup,
		RemoveCgroup: removeHostCgroup,
		KillCgroup:   killHostCgroup,
		Network:      hostNetwork{},
		OpenVhostNet: openVhostNet,
		StartShare:   startVirtiofsd,
		Mounts:       hostMounts{},
		Facts:        storage.Host{},
		Mkfs:         mkfs,
		KillProcess:  killProcess,
		Host:         hostSize,
	}
}

func newHostCgroup(path string, l hostcgroup.Limits) (Cgroup, error) {
	group, err := hostcgroup.Create(path, l)
	if err != nil {
		return nil, err
	}
	return group, nil
}

func removeHostCgroup(ctx context.Context, path string) error {
	group, err := hostcgroup.Load(path)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return group.Delete(ctx)
}

func killHostCgroup(path string) error {
	group, err := hostcgroup.Load(path)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return group.Kill()
}

// hostNetwork is the [Network] of the host's kernel.
type hostNetwork struct{}

func (hostNetwork) Create(path string) error                { return network.NewNamespace(path) }
func (hostNetwork) Remove(path string) error                { return network.DeleteNamespace(path) }
func (hostNetwork) Scan(path string) (network.State, error) { return network.Scan(path) }
func (hostNetwork) Steer(path string) (net.Listener, error) { return network.Steer(path) }
func (hostNetwork) Dial(ctx context.Context, path, transport string, to netip.AddrPort) (net.Conn, error) {
	return network.Dial(ctx, path, transport, to)
}
func (hostNetwork) Watch(path string) (NetworkChanges, error) {
	w, err := network.Watch(path)
	if err != nil {
		return nil, err
	}
	return w, nil
}
func (hostNetwork) Disconnect(path, tap, device string) error {
	return network.Disconnect(path, tap, device)
}
func (hostNetwork) Connect(path, tap string, ep network.Endpoint, queues int) ([]*os.File, error) {
	t, err := network.Connect(path, ep, network.Options{Queues: queues, Name: tap})
	if err != nil {
		return nil, err
	}
	return t.Files, nil
}

// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Options are the choices of [Connect].
type Options struct {
	// Queues is the number of queue pairs of the TAP; 0 and 1 make a TAP
	// without multi-queue.
	Queues int
	// Name is that of the TAP; empty stands for TapName(endpoint's index).
	Name string
	// Persistent keeps the TAP when all its files are closed, for VMMs that
	// open it by name.
	Persistent bool
}

// Connect makes a TAP in the namespace bound to nsPath and joins it to the
// endpoint: every frame that reaches the one is sent by the other. The TAP has
// the endpoint's MTU and keeps a MAC of its own, since the guest's NIC has the
// endpoint's. Undo it with [Disconnect]; a Connect that fails leaves nothing.
//
// The error is ErrNotImplemented for a kind of link that can't be joined,
// ErrAlreadyExists when the TAP exists or the endpoint has an ingress qdisc
// already, and ErrNotFound when the namespace or the endpoint is gone.
func Connect(nsPath string, ep Endpoint, o Options) (*Tap, error) {
	ns, err := open(nsPath)
	if err != nil {
		return nil, err
	}
	defer ns.close()
	device, err := ns.LinkByName(ep.Name)
	if err != nil {
		return nil, fmt.Errorf("connect %s in %s: %w", ep.Name, nsPath, missing(err))
	}
	if err := connectable(device); err != nil {
		return nil, fmt.Errorf("connect %s in %s: %w", ep.Name, nsPath, err)
	}
	if o.Name == "" {
		o.Name = TapName(ep.Index)
	}
	tap, err := newTap(ns, o.Name, o)
	if err != nil {
		return nil, err
	}
	if err := join(ns, tap.Name, device); err != nil {
		if l, lerr := ns.LinkByName(tap.Name); lerr == nil {
			_ = ns.LinkDel(l)
		}
		_ = tap.Close()
		return nil, fmt.Errorf("connect %s in %s: %w", ep.Name, nsPath, err)
	}
	return tap, nil
}

// join redirects both ways. The TAP's half needs no undo: it goes with the TAP.
func join(ns *namespace, tap string, device netlink.Link) error {
	l, err := raise(ns, tap, device.Attrs().MTU)
	if err != nil {
		return err
	}
	if err := redirect(ns, l, device); err != nil {
		return err
	}
	return redirect(ns, device, l)
}

// Disconnect undoes [Connect]: it takes the redirection and, when nobody else
// uses it, the ingress qdisc from device, and deletes the TAP. It may be called
// any number of times, and after a crash at any point of Connect: a namespace,
// device or TAP that is absent is success. Filters of others stay.
func Disconnect(nsPath, tap, device string) error {
	ns, err := open(nsPath)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer ns.close()
	return errors.Join(removeRedirect(ns, device), removeTap(ns, tap))
}

func removeTap(ns *namespace, name string) error {
	l, err := ns.LinkByName(name)
	if err == nil && !isTun(l) {
		return fmt.Errorf("delete TAP %s in %s: it is of kind %s: %w",
			name, ns.path, l.Type(), errdefs.ErrFailedPrecondition)
	}
	if err == nil {
		err = ns.LinkDel(l)
	}
	if err = missing(err); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete TAP %s in %s: %w", name, ns.path, err)
	}
	return nil
}

// missing makes every way to say that a link is not there ErrNotFound.
func missing(err error) error {
	var nf netlink.LinkNotFoundError
	if errors.As(err, &nf) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w: %w", err, errdefs.ErrNotFound)
	}
	return err
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/katapod/katapod/integration/node"
)

// showNetwork reaches the first pod from a second one and from the node.
func (d *demo) showNetwork() error {
	err := d.check("a second pod", func() ([]string, error) {
		var err error
		d.second, err = d.runPod(node.Pod{Name: "second", Handler: d.handler})
		if err != nil {
			return nil, err
		}
		d.client, err = d.start(d.second, node.Container{Name: "client", Args: []string{"probe", "pause"}}, "")
		return []string{"pod " + short(d.second.id) + " has the addresses " + strings.Join(d.second.addresses, " and ")}, err
	})
	if err != nil {
		return err
	}
	if len(d.first.addresses) != 2 {
		return fmt.Errorf("the first pod has the addresses %v, one of each family should be there", d.first.addresses)
	}
	for _, address := range d.first.addresses {
		target := net.JoinHostPort(address, "7000")
		if err := d.check("the second pod reaches the first at "+target, func() ([]string, error) {
			return d.expect(d.client, "hello from one", "probe", "dial", target)
		}); err != nil {
			return err
		}
		if err := d.check("the node reaches the first pod at "+target, func() ([]string, error) {
			return d.dial(target, "hello from one")
		}); err != nil {
			return err
		}
	}
	target := net.JoinHostPort(node.AddressV4, strconv.Itoa(hostPort))
	if err := d.check("the first pod's published port at "+target, func() ([]string, error) {
		return d.dial(target, "hello from one")
	}); err != nil {
		return err
	}
	return d.check("crictl port-forward to a port that listens only on the guest's localhost", func() ([]string, error) {
		address, stop, err := d.Forward(d.ctx, d.first.id, 7001)
		if err != nil {
			return nil, err
		}
		defer stop()
		return d.dial(address, "hello from two")
	})
}

// dial connects from the node itself and wants that answer.
func (d *demo) dial(target, want string) ([]string, error) {
	got, err := d.Runner().Run(d.ctx, filepath.Join(d.Out, "node", "probe"), "dial", target)
	if err != nil {
		return nil, err
	}
	if got != want+"\n" {
		return nil, fmt.Errorf("%s said %q and should have said %s", target, got, want)
	}
	return []string{"it says: " + strings.TrimSpace(got)}, nil
}

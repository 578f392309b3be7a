// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/shim/podkind"
)

// Start answers the start action: it finds the pod's shim, or spawns it, and
// writes its address to stdout. Nothing else is written there or to stderr,
// because containerd reads both as the answer.
func Start(inv Invocation, stdin io.Reader, stdout io.Writer) error {
	if err := inv.validate(); err != nil {
		return err
	}
	params, err := ReadParams(stdin, inv)
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the bundle: %w", err)
	}
	b, err := readBundle(dir, inv.ID)
	if err != nil {
		return err
	}
	address, err := findOrSpawn(inv, params, b)
	if err != nil {
		return err
	}
	return Result{Version: taskVersion(params.Dialect, b), Address: address}.Write(stdout, params.Dialect)
}

// taskVersion is 3 for who is known to speak it. Containerd 1.7 refuses version
// 3, and what it announces as its highest version is 2 in every release.
func taskVersion(d Dialect, b bundle) int {
	if d == Protobuf || b.sandboxAPI {
		return version3
	}
	return version2
}

func findOrSpawn(inv Invocation, p Params, b bundle) (string, error) {
	address, err := socketAddress(p, inv.Namespace, b.pod)
	if err != nil {
		return "", err
	}
	if b.kind == podkind.Member {
		if !answers(address) {
			if address, err = b.podAddress(address); err != nil {
				return "", fmt.Errorf("container %s: %w", inv.ID, err)
			}
		}
		return address, b.write(FileAddress, address)
	}
	listener, err := listen(address)
	if errors.Is(err, errdefs.ErrAlreadyExists) {
		return address, nil
	}
	if err != nil {
		return "", err
	}
	if err := spawn(inv, p, b, address, listener); err != nil {
		return "", errors.Join(err, listener.Close(), RemoveSocket(address))
	}
	return address, nil
}

// podAddress is where the shim of a member's pod listens that does not at the
// address that it should have: it was started by another containerd, before an
// upgrade, which put sockets elsewhere. The bundle of the pod says so, which
// containerd keeps beside those of its containers.
func (b bundle) podAddress(expected string) (string, error) {
	pod := bundle{dir: filepath.Join(filepath.Dir(b.dir), b.pod)}
	address, err := pod.read(FileAddress)
	if err != nil {
		return "", err
	}
	if address == "" || !answers(address) {
		return "", fmt.Errorf("its pod is %s, whose shim does not answer on %s: "+
			"the pod has ended; delete it and create it again: %w", b.pod, expected, errdefs.ErrFailedPrecondition)
	}
	return address, nil
}

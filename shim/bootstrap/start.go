// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"errors"
	"fmt"
	"io"
	"os"

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
			return "", fmt.Errorf("container %s belongs to pod %s, whose shim does not answer on %s: "+
				"the pod has ended; delete it and create it again: %w", inv.ID, b.pod, address, errdefs.ErrFailedPrecondition)
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
		return "", errors.Join(err, listener.Close())
	}
	return address, nil
}

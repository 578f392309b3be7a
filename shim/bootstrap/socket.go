// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/errdefs"
)

// maxSocketPath is the longest path a unix socket can have, without the byte
// that ends it (unix(7)).
const maxSocketPath = 107

// defaultSocketDir is for a containerd that does not say where sockets go. It is
// a directory of our own, so that nothing appears among those of an engine.
const defaultSocketDir = "/run/katapod/s"

// socketAddress is where the shim of pod listens: always the same answer for
// the same containerd, namespace and pod.
func socketAddress(ctx context.Context, p Params, pod string) (string, error) {
	dir := p.SocketDir
	if dir == "" {
		dir = defaultSocketDir
	}
	address, err := shim.CreateSocketAddress(ctx, dir, p.GRPCAddress, pod, false)
	if err != nil {
		return "", fmt.Errorf("choose the shim's socket: %w", err)
	}
	if path := strings.TrimPrefix(address, "unix://"); len(path) > maxSocketPath {
		return "", fmt.Errorf("the path of the shim's socket, %s, is longer than %d bytes; "+
			"set a shorter socket_dir in containerd's shim manager: %w", path, maxSocketPath, errdefs.ErrInvalidArgument)
	}
	return address, nil
}

// listen makes the pod's socket. A socket on which a shim answers is
// errdefs.ErrAlreadyExists; one that a dead shim left is replaced.
func listen(address string) (*net.UnixListener, error) {
	l, err := shim.NewSocket(address)
	if err == nil {
		return l, nil
	}
	if !shim.SocketEaddrinuse(err) {
		return nil, fmt.Errorf("make the shim's socket %s: %w", address, err)
	}
	if shim.CanConnect(address) {
		return nil, fmt.Errorf("a shim answers on %s: %w", address, errdefs.ErrAlreadyExists)
	}
	if err := shim.RemoveSocket(address); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the socket of a dead shim: %w", err)
	}
	if l, err = shim.NewSocket(address); err != nil {
		return nil, fmt.Errorf("make the shim's socket %s: %w", address, err)
	}
	return l, nil
}

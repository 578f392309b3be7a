// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

const (
	// defaultSocketDir is for a containerd that does not say where sockets go. It
	// is a directory of our own, so that nothing appears among those of an engine.
	defaultSocketDir = "/run/katapod/s"
	// maxSocketPath is the longest path a unix socket can have, without the byte
	// that ends it (unix(7)).
	maxSocketPath = 107
	// scheme begins an address.
	scheme = "unix://"
)

// socketAddress is where the shim of pod listens: always the same answer for
// the same containerd, namespace and pod.
func socketAddress(p Params, namespace, pod string) (string, error) {
	dir := p.SocketDir
	if dir == "" {
		dir = defaultSocketDir
	}
	path := filepath.Join(dir, socketName(p.GRPCAddress, namespace, pod))
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("the path of the shim's socket, %s, is longer than %d bytes; "+
			"set a shorter socket_dir in containerd's shim manager: %w", path, maxSocketPath, errdefs.ErrInvalidArgument)
	}
	return scheme + path, nil
}

// socketName is the name of the pod's socket in its directory, and of its claim.
func socketName(engine, namespace, pod string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(filepath.Join(engine, namespace, pod))))
}

func socketPath(address string) string { return strings.TrimPrefix(address, scheme) }

// listen makes the pod's socket and its claim, for root alone. A socket on which a
// shim answers is errdefs.ErrAlreadyExists; one that a dead shim left is replaced.
func listen(address string) (l *net.UnixListener, err error) {
	err = claims{claimsDir}.around(address, func() error {
		l, err = bind(address)
		return err
	})
	return l, err
}

// bind makes the pod's socket.
func bind(address string) (*net.UnixListener, error) {
	path := socketPath(address)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the shim's socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, unix.EADDRINUSE) {
		if answers(address) {
			return nil, fmt.Errorf("a shim answers on %s: %w", address, errdefs.ErrAlreadyExists)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove the shim's socket: %w", err)
		}
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	}
	if err != nil {
		return nil, fmt.Errorf("make the shim's socket %s: %w", address, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect the shim's socket: %w", err), l.Close())
	}
	return l, nil
}

// answers reports whether a shim is there to accept connections. One that does
// not come to it in time, on a busy host, is there all the same: only the kernel's
// word that nobody listens says that it is gone.
func answers(address string) bool {
	conn, err := net.DialTimeout("unix", socketPath(address), timeouts.Answers)
	if err != nil {
		return !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR)
	}
	_ = conn.Close()
	return true
}

// RemoveSocket removes the file of a socket; one that is gone is no error.
func RemoveSocket(address string) error { return claims{claimsDir}.removeSocket(address) }

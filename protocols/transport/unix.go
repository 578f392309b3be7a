// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path that fits sockaddr_un with its final zero,
// see unix(7).
const maxSocketPath = 107

// dialUnix connects to a stream socket. A socket that is not there yet, or that
// nobody listens on yet, is waited for until ctx ends.
func dialUnix(ctx context.Context, path string) (*net.UnixConn, error) {
	var retry backoff
	for {
		c, err := connectUnix(path)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ECONNREFUSED) {
			return nil, fmt.Errorf("connect to the VMM's socket %s: %w", path, err)
		}
		if cause := retry.wait(ctx); cause != nil {
			return nil, fmt.Errorf("connect to the VMM's socket %s: %w (%w): is the VMM running?",
				path, err, cause)
		}
	}
}

// connectUnix tries once. A connect(2) on a unix socket does not wait for the
// other end, so no context is needed.
func connectUnix(path string) (*net.UnixConn, error) {
	if len(path) <= maxSocketPath {
		return net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	}
	// Too long for a socket address: go through a descriptor of the directory.
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	defer unix.Close(dir)
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir, filepath.Base(path))
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: short, Net: "unix"})
}

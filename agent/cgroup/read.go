// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// roomToRead is more than all of a cgroup's files have in them but the list of its
// processes.
const roomToRead = 8 << 10

// readFile is os.ReadFile with nothing but open, read and close: files of cgroups can
// be polled, so that package os makes each known to the poller and forgets it again.
// Of a container's statistics, some twenty files, that was two thirds of the time.
func readFile(path string) ([]byte, error) {
	fd, err := retried(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	data := make([]byte, 0, roomToRead)
	for {
		n, err := retried(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		data = data[:len(data)+n]
		if len(data) == cap(data) {
			data = slices.Grow(data, roomToRead)
		}
	}
}

// retried calls a system call again that a signal interrupted.
func retried(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/hostcgroup"
)

// StandardUndo says how to undo what needs no knowledge of networks: processes,
// mounts, directories, files, sockets and cgroups. The caller adds [Tap] and
// [NetNS] to the map, which is its own.
func StandardUndo() Undo {
	return Undo{
		Process: undoProcess,
		Mount:   undoMount,
		Dir:     undoDir,
		File:    undoFile,
		Socket:  undoSocket,
		Cgroup:  undoCgroup,
	}
}

// undoDir removes a directory and what is in it. It never goes through a mount:
// what is mounted there may be somebody's volume, and it was recorded as a mount
// of its own, to be undone before.
func undoDir(_ context.Context, args []string) error {
	path := args[0]
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no directory: %w", path, errdefs.ErrFailedPrecondition)
	}
	mounted, err := mountsBelow(path)
	if err != nil {
		return err
	}
	if len(mounted) > 0 {
		return fmt.Errorf("%s is not removed since something is mounted at %s; unmount it: %w", path, mounted[0], errdefs.ErrFailedPrecondition)
	}
	return os.RemoveAll(path)
}

// undoFile removes a file of any type but a directory.
func undoFile(_ context.Context, args []string) error {
	return removeIf(args[0], "file", func(m fs.FileMode) bool { return !m.IsDir() })
}

// undoSocket removes a unix socket.
func undoSocket(_ context.Context, args []string) error {
	return removeIf(args[0], "socket", func(m fs.FileMode) bool { return m&fs.ModeSocket != 0 })
}

func removeIf(path, what string, is func(fs.FileMode) bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !is(info.Mode()):
		return fmt.Errorf("%s is no %s: %w", path, what, errdefs.ErrFailedPrecondition)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// undoCgroup removes a group of the host.
func undoCgroup(ctx context.Context, args []string) error {
	group, err := hostcgroup.Load(args[0])
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return group.Delete(ctx)
}

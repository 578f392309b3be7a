// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/containerd/errdefs"
)

// Kind is what sort of thing a resource is.
type Kind string

// The kinds, with their arguments.
const (
	// Process: pid, start time in clock ticks since boot (proc(5), field 22 of
	// stat). Use [ProcessOf].
	Process Kind = "process"
	// Tap: path of the network namespace, name of the device.
	Tap Kind = "tap"
	// NetNS: path that a network namespace is bound to.
	NetNS Kind = "netns"
	// Mount: path of the mount point.
	Mount Kind = "mount"
	// Cgroup: path as hostcgroup.Load takes it.
	Cgroup Kind = "cgroup"
	// Dir: path of a directory, removed with all that is in it.
	Dir Kind = "directory"
	// File: path of a file.
	File Kind = "file"
	// Socket: path of a unix socket.
	Socket Kind = "socket"
	// User: path of a symbolic link that claims a user id, and what it points to, the
	// state directory of whoever has it.
	User Kind = "user"
)

// Resource is one thing on the host.
type Resource struct {
	Kind Kind
	// Args identify the thing; their meaning is the kind's.
	Args []string
}

// Equal tells whether r and o are the same thing.
func (r Resource) Equal(o Resource) bool {
	return r.Kind == o.Kind && slices.Equal(r.Args, o.Args)
}

// String is for logs and errors.
func (r Resource) String() string {
	return string(r.Kind) + " " + strings.Join(r.Args, " ")
}

const (
	maxArgs = 8
	maxArg  = 4096
)

// validate checks shape and bounds. What passes can be handed to an undo.
func (r Resource) validate() error {
	if len(r.Args) > maxArgs {
		return fmt.Errorf("resource %q has %d arguments, more than %d: %w", r.Kind, len(r.Args), maxArgs, errdefs.ErrInvalidArgument)
	}
	for _, arg := range r.Args {
		if len(arg) > maxArg || arg == "" || strings.ContainsRune(arg, 0) || !utf8.ValidString(arg) {
			return fmt.Errorf("resource %q has an argument that is empty, too long, holds a zero byte or is not UTF-8: %w", r.Kind, errdefs.ErrInvalidArgument)
		}
	}
	switch r.Kind {
	case Process:
		return r.validateNumbers(2)
	case Tap, User:
		return r.validatePath(2)
	case NetNS, Mount, Cgroup, Dir, File, Socket:
		return r.validatePath(1)
	default:
		return fmt.Errorf("resource kind %q is not known: %w", r.Kind, errdefs.ErrInvalidArgument)
	}
}

func (r Resource) validateNumbers(count int) error {
	if len(r.Args) != count {
		return r.wrongCount(count)
	}
	for _, arg := range r.Args {
		if n, err := strconv.ParseUint(arg, 10, 63); err != nil || n == 0 || strconv.FormatUint(n, 10) != arg {
			return fmt.Errorf("resource %s: %q is not a positive number: %w", r, arg, errdefs.ErrInvalidArgument)
		}
	}
	return nil
}

// validatePath wants an absolute, clean path other than the root first.
func (r Resource) validatePath(count int) error {
	if len(r.Args) != count {
		return r.wrongCount(count)
	}
	p := r.Args[0]
	// A cgroup of systemd is "slice:prefix:name", no path.
	if r.Kind == Cgroup && strings.Count(p, ":") == 2 {
		return nil
	}
	if !filepath.IsAbs(p) || filepath.Clean(p) != p || p == "/" {
		return fmt.Errorf("resource %s: %q is not a clean absolute path: %w", r, p, errdefs.ErrInvalidArgument)
	}
	return nil
}

func (r Resource) wrongCount(want int) error {
	return fmt.Errorf("resource %s has %d arguments, not %d: %w", r, len(r.Args), want, errdefs.ErrInvalidArgument)
}

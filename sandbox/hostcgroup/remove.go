// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// The kernel answers EBUSY while a process that is ending has not left its group,
// and such a process can no longer be moved either. On a busy host the end of a VMM
// takes many seconds, in which its memory is given back. The end of a process is not
// yet that of its stay in the group, and nobody tells when that is: with cgroup v1
// there is no event at all. So it is looked at, less and less often.
const firstLook, longestLook = time.Millisecond, timeouts.CgroupLook

// remover removes directories of cgroups.
type remover struct {
	rmdir func(path string) error
}

// removeDirs removes each directory of a group, its sub-groups included, after
// moving processes to the parent. It waits for those that are ending, until ctx
// ends.
func removeDirs(ctx context.Context, dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, remover{unix.Rmdir}.tree(ctx, dir))
	}
	return errors.Join(errs...)
}

func (r remover) tree(ctx context.Context, dir string) error {
	children, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, child := range children {
		if !child.IsDir() {
			continue
		}
		if err := r.tree(ctx, filepath.Join(dir, child.Name())); err != nil {
			return err
		}
	}
	return r.one(ctx, dir)
}

func (r remover) one(ctx context.Context, dir string) error {
	for look := firstLook; ; look = min(2*look, longestLook) {
		listed, err := evacuate(dir)
		if err != nil {
			return err
		}
		err = r.rmdir(dir)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("rmdir %s: %w", dir, err)
		case ctx.Err() != nil:
			return fmt.Errorf("rmdir %s: processes %v are in it and ended, or left, too slowly; "+
				"see /proc/<pid>/stack for what they wait for: %w: %w", dir, listed, context.Cause(ctx), err)
		}
		pause(ctx, look)
	}
}

// pause lasts d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// evacuate moves the processes of dir to its parent and names them. The kernel
// leaves those that are ending where they are, and says nothing.
func evacuate(dir string) (pids []string, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pids = strings.Fields(string(data))
	for _, pid := range pids {
		if err := moveUp(dir, pid); err != nil {
			return nil, err
		}
	}
	return pids, nil
}

// moveUp moves a process to the nearest ancestor of dir that takes it. With
// cgroup v2 an ancestor that passes controllers on takes none, but the root does.
func moveUp(dir, pid string) error {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		err := os.WriteFile(filepath.Join(parent, "cgroup.procs"), []byte(pid), 0)
		switch {
		case err == nil, errors.Is(err, unix.ESRCH):
			return nil
		case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EOPNOTSUPP):
			continue
		}
		return fmt.Errorf("moving process %s out of %s: %w", pid, dir, err)
	}
}

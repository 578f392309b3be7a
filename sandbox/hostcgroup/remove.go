// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// removeFor bounds the removal of a group. The kernel answers EBUSY while a
// process that has left is not yet gone for good, and tells nobody when it is.
const removeFor = time.Second

// removeDirs removes each directory of a group, its sub-groups included, after
// moving processes to the parent.
func removeDirs(dirs []string) error {
	deadline := time.Now().Add(removeFor)
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, removeTree(dir, deadline))
	}
	return errors.Join(errs...)
}

func removeTree(dir string, deadline time.Time) error {
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
		if err := removeTree(filepath.Join(dir, child.Name()), deadline); err != nil {
			return err
		}
	}
	return removeOne(dir, deadline)
}

func removeOne(dir string, deadline time.Time) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		moved, err := evacuate(dir)
		if err != nil {
			return err
		}
		err = unix.Rmdir(dir)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("rmdir %s: %w", dir, err)
		case time.Now().After(deadline):
			return fmt.Errorf("rmdir %s: still busy after %v, with %d processes: %w", dir, removeFor, moved, err)
		}
		<-tick.C
	}
}

// evacuate moves the processes of dir to its parent and counts them.
func evacuate(dir string) (int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pids := strings.Fields(string(data))
	for _, pid := range pids {
		if err := moveUp(dir, pid); err != nil {
			return 0, err
		}
	}
	return len(pids), nil
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

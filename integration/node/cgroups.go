// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// cgroupRoot is where the machine mounts its cgroup file systems: one below it for each controller (version 1), or
// version 2 itself.
const cgroupRoot = "/sys/fs/cgroup"

// Cgroups lists the node's cgroups in every hierarchy: everything below the parent that all its pods and containers
// are put in, the parent itself left out.
func (l Layout) Cgroups() ([]string, error) {
	var found []string
	for _, parent := range cgroupParents(l.Name()) {
		below, err := cgroupsBelow(parent)
		if err != nil {
			return nil, err
		}
		found = append(found, below...)
	}
	return found, nil
}

func cgroupParents(name string) []string {
	var parents []string
	for _, pattern := range []string{name, "*/" + name} {
		// The pattern is fixed and well-formed, which is all that Glob reports.
		matches, _ := filepath.Glob(filepath.Join(cgroupRoot, pattern))
		parents = append(parents, matches...)
	}
	return parents
}

// cgroupsBelow lists deeper cgroups before the ones that hold them, which is the order to remove them in.
func cgroupsBelow(parent string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(parent, func(path string, entry fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && entry.IsDir() && path != parent {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the cgroups below %s: %w", parent, err)
	}
	slices.Reverse(found)
	return found, nil
}

func removeCgroups(name string) error {
	for _, parent := range cgroupParents(name) {
		below, err := cgroupsBelow(parent)
		if err != nil {
			return err
		}
		for _, dir := range append(below, parent) {
			if err := removeCgroup(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroup tries for half a minute: a killed process leaves its cgroup only when its parent has reaped it.
func removeCgroup(dir string) error {
	deadline := time.Now().Add(30 * time.Second)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := os.Remove(dir)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline):
			return fmt.Errorf("remove the node's cgroup: %w", err)
		}
		<-time.After(wait)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// room is a file system in memory that can be full at once, and have room again: tmpfs(5) can be given another size while
// it is mounted, as far as what is in it fits.
type room struct {
	path string // in the node
	size string
}

// stateRoom is that of the runtime's state directories, templates among them.
func (s *suite) stateRoom() room { return room{s.node.StateDir(), "4g"} }

// runRooms are that of the engine's state with the bundles of all containers, and of the node's own /run.
func (s *suite) runRooms() []room {
	return []room{{filepath.Join(s.node.Root, "state"), "64m"}, {"/run", "1g"}}
}

// rootsRoom is that of the images and the root file systems of containers.
func (s *suite) rootsRoom() room { return room{filepath.Join(s.node.Root, "root"), "1g"} }

// mountSmall gives the node's directories file systems of their own, and has the engine begin anew in them.
func (s *suite) mountSmall(ctx context.Context) error {
	for _, r := range []room{s.stateRoom(), s.runRooms()[0], s.rootsRoom()} {
		if _, err := s.node.Runner().Run(ctx, "mount", "-t", "tmpfs", "-o", "mode=0711,size="+r.size, "chaos", r.path); err != nil {
			return err
		}
	}
	return s.node.RestartContainerd(ctx)
}

// fill leaves no room. What is written meanwhile makes it be tried again.
func (s *suite) fill(ctx context.Context, r room) error {
	for range 100 {
		var stat unix.Statfs_t
		if err := unix.Statfs(s.node.Inside(r.path), &stat); err != nil {
			return fmt.Errorf("see how full %s is: %w", r.path, err)
		}
		used := max(1, int64(stat.Blocks-stat.Bfree)) * stat.Bsize
		res, err := s.node.Runner().Try(ctx, "mount", "-o", fmt.Sprintf("remount,size=%d", used), r.path)
		if err != nil || res.Code == 0 {
			return err
		}
		if !strings.Contains(res.Stderr, "bad option") && !strings.Contains(res.Stderr, "Too small") {
			return fmt.Errorf("fill %s: %s", r.path, strings.TrimSpace(res.Stderr))
		}
	}
	return fmt.Errorf("fill %s: it grows all the time", r.path)
}

// empty makes room again.
func (s *suite) empty(ctx context.Context, r room) error {
	_, err := s.node.Runner().Run(ctx, "mount", "-o", "remount,size="+r.size, r.path)
	return err
}

// The faults. That what is full is not only there but written to, is for the containers to do.

func fillState(ctx context.Context, c *cycle) error { return c.fill(ctx, c.stateRoom()) }

func emptyState(ctx context.Context, c *cycle) error { return c.suite.empty(ctx, c.stateRoom()) }

func fillRun(ctx context.Context, c *cycle) error {
	return errors.Join(c.fill(ctx, c.runRooms()[0]), c.fill(ctx, c.runRooms()[1]))
}

func emptyRun(ctx context.Context, c *cycle) error {
	return errors.Join(c.suite.empty(ctx, c.runRooms()[0]), c.suite.empty(ctx, c.runRooms()[1]))
}

func fillRoots(ctx context.Context, c *cycle) error {
	if err := c.fill(ctx, c.rootsRoom()); err != nil {
		return err
	}
	if !c.atRest() || len(c.containers) < 2 {
		return nil
	}
	return c.inGuest(ctx, `dd if=/dev/zero of=/full bs=64k count=64 2>/dev/null; rm /full; :`)
}

func emptyRoots(ctx context.Context, c *cycle) error { return c.suite.empty(ctx, c.rootsRoom()) }

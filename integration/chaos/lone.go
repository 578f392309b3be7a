// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/images"
)

// The life of a container that has no pod, by the Task API as ctr uses it.

func (c *cycle) loneStages() []stage {
	nothing := func(context.Context) error { return nil }
	return []stage{
		{"start", false, c.runLone},
		{"run/idle", true, nothing},
		{"exec/create", false, func(ctx context.Context) error {
			out, err := c.node.Ctr(ctx, "tasks", "exec", "--exec-id", "short", c.name, "echo", "here")
			if err == nil && out != "here\n" {
				err = fmt.Errorf("echo printed %q", out)
			}
			return err
		}},
		{"exec/long", false, c.execLone},
		{"exec/running", true, nothing},
	}
}

func (c *cycle) runLone(ctx context.Context) error {
	c.containers = []string{c.name}
	_, err := c.node.Ctr(ctx, "run", "--detach", "--runtime", "io.containerd.kata.v2", images.Busybox, c.name, "probe", "pause")
	if err == nil {
		c.begun, c.up = 1, true
		c.waitAtShim(context.WithoutCancel(ctx), c.name)
	}
	return err
}

func (c *cycle) execLone(ctx context.Context) error {
	w := c.waiters.add("exec of a long process", func() (uint32, error) {
		res, err := c.node.Runner().Try(context.WithoutCancel(ctx), "ctr", "tasks", "exec", "--exec-id", "long", c.name, "sleep", "1000")
		return uint32(res.Code), err
	})
	return c.awaitExec(ctx, w, func() bool {
		list, gaps := c.events.of(c.name)
		for _, e := range list {
			if e.name == "start long" {
				return true
			}
		}
		return gaps
	})
}

// removeLone kills and deletes the task, deletes it again, and removes the container.
func (c *cycle) removeLone(ctx context.Context) {
	absent := []string{"not found", "exit with non-zero"}
	c.reach("stop/container")
	c.insist(ctx, "kill the task", func(ctx context.Context) error {
		return c.try(ctx, []string{"not found", "process already finished"}, "tasks", "kill", "--signal", "SIGKILL", c.name)
	})
	c.reach("stop/pod")
	for range 2 {
		c.insist(ctx, "delete the task", func(ctx context.Context) error {
			return c.try(ctx, absent, "tasks", "delete", "--force", c.name)
		})
	}
	c.reach("stop/remove")
	c.insist(ctx, "remove the container", func(ctx context.Context) error {
		return c.try(ctx, absent, "containers", "delete", c.name)
	})
	c.strikeNow() // at nothing, if it has not been done
	<-c.hit.done
}

// try runs ctr, which may fail with one of those words.
func (c *cycle) try(ctx context.Context, fine []string, words ...string) error {
	ctx, cancel := context.WithTimeout(ctx, removeLimit/2)
	defer cancel()
	res, err := c.node.Runner().Try(ctx, "ctr", words...)
	if err != nil || res.Code == 0 {
		return err
	}
	for _, word := range fine {
		if strings.Contains(res.Stderr, word) {
			return nil
		}
	}
	return fmt.Errorf("ctr %s: %s", words[1], strings.TrimSpace(res.Stderr))
}

// stoppedLone tells whether ctr shows the task as stopped, or none.
func (c *cycle) stoppedLone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := c.node.Ctr(ctx, "tasks", "list")
	if err != nil {
		return false
	}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == c.name {
			return fields[len(fields)-1] == "STOPPED"
		}
	}
	return true
}

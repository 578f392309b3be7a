// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func killShim(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.shimPID)
	if err != nil {
		return err
	}
	return signal(pid, unix.SIGKILL)
}

func killVMM(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.vmmPID)
	if err != nil {
		return err
	}
	return signal(pid, unix.SIGKILL)
}

func killVirtiofsd(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, func() int { return c.helper("virtiofsd") })
	if err != nil {
		return err
	}
	return signal(pid, unix.SIGKILL)
}

func stopVMM(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.vmmPID)
	if err != nil {
		return err
	}
	c.struck.pid = pid
	return signal(pid, unix.SIGSTOP)
}

func continueVMM(_ context.Context, c *cycle) error { return resume(c.struck.pid) }

func stopShim(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.shimPID)
	if err != nil {
		return err
	}
	c.struck.pid = pid
	c.states.suspend()
	if err := signal(pid, unix.SIGSTOP); err != nil {
		c.states.resume()
		return err
	}
	return nil
}

func continueShim(_ context.Context, c *cycle) error {
	defer c.states.resume()
	return resume(c.struck.pid)
}

func killContainerd(ctx context.Context, c *cycle) error {
	c.engine.Lock()
	defer c.engine.Unlock()
	c.pastNetNS = c.netns() // the bundle may be gone later
	return c.node.CrashContainerd(context.WithoutCancel(ctx))
}

// await looks for a process until it is there: a fault may be asked for before its target is. It gives up when the
// life of the pod is over.
func (c *cycle) await(ctx context.Context, find func() int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if pid := find(); pid != 0 {
			return pid, nil
		}
		select {
		case <-c.over:
			return 0, errNoTarget
		case <-ctx.Done():
			return 0, errNoTarget
		case <-time.After(time.Millisecond):
		}
	}
}

// shimPID is what the shim's start action has left in the bundle, 0 before.
func (c *cycle) shimPID() int {
	var pid int
	text, err := os.ReadFile(filepath.Join(c.bundle(), "shim.pid"))
	if err == nil {
		_, _ = fmt.Sscan(string(text), &pid) // 0 if it is not whole
	}
	return pid
}

func (c *cycle) vmmPID() int { return c.helper("qemu-system") }

// helper is the process of the pod whose program has that name, 0 when the ledger lists none that lives.
func (c *cycle) helper(name string) int {
	for _, line := range c.ledgerLines() {
		var pid int
		if _, err := fmt.Sscanf(line, `{"op":"+","kind":"process","args":["%d"`, &pid); err != nil {
			continue
		}
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && strings.HasPrefix(filepath.Base(program), name) {
			return pid
		}
	}
	return 0
}

func signal(pid int, s unix.Signal) error {
	if err := unix.Kill(pid, s); errors.Is(err, unix.ESRCH) {
		return errNoTarget
	} else if err != nil {
		return fmt.Errorf("send %v to process %d: %w", s, pid, err)
	}
	return nil
}

// resume lets a stopped process go on; one that was killed meanwhile is fine.
func resume(pid int) error {
	if err := signal(pid, unix.SIGCONT); err != nil && !errors.Is(err, errNoTarget) {
		return err
	}
	return nil
}

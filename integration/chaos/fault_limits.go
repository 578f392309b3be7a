// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// exhaustFiles lets the shim open no further file.
func exhaustFiles(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.shimPID)
	if err != nil {
		return err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return errNoTarget
	}
	return c.limit(pid, unix.RLIMIT_NOFILE, uint64(len(open)))
}

func returnFiles(_ context.Context, c *cycle) error { return c.unlimit(unix.RLIMIT_NOFILE) }

// exhaustShimMemory lets the shim map no further memory.
func exhaustShimMemory(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.shimPID)
	if err != nil {
		return err
	}
	return c.limitMemory(pid)
}

// exhaustVMMMemory is that for the VMM.
func exhaustVMMMemory(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.vmmPID)
	if err != nil {
		return err
	}
	return c.limitMemory(pid)
}

func returnMemory(_ context.Context, c *cycle) error { return c.unlimit(unix.RLIMIT_AS) }

func (c *cycle) limitMemory(pid int) error {
	kib := fromStatus(pid, "VmSize:")
	if kib == 0 {
		return errNoTarget // it is ending
	}
	return c.limit(pid, unix.RLIMIT_AS, kib<<10)
}

// fromStatus reads the first number of a line of proc_pid_status(5), 0 when there is none.
func fromStatus(pid int, line string) (number uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err == nil {
		_, rest, _ := strings.Cut(string(text), line)
		_, _ = fmt.Sscan(rest, &number) // 0 if it is something else
	}
	return number
}

// limit sets the soft limit of a process, and keeps the one it had.
func (c *cycle) limit(pid, resource int, most uint64) error {
	var was unix.Rlimit
	err := asOwner(pid, func() error { return unix.Prlimit(pid, resource, nil, &was) })
	if err != nil {
		return limitError(pid, err)
	}
	c.struck.pid, c.struck.limit = pid, was
	return c.setLimit(resource, unix.Rlimit{Cur: min(most, was.Max), Max: was.Max})
}

// unlimit gives back what limit took; a process that is gone is fine.
func (c *cycle) unlimit(resource int) error {
	if err := c.setLimit(resource, c.struck.limit); !errors.Is(err, errNoTarget) {
		return err
	}
	return nil
}

func (c *cycle) setLimit(resource int, to unix.Rlimit) error {
	pid := c.struck.pid
	return limitError(pid, asOwner(pid, func() error { return unix.Prlimit(pid, resource, &to, nil) }))
}

// asOwner calls fn as the user of a process: without CAP_SYS_RESOURCE, only a process's own user may change its limits.
func asOwner(pid int, fn func() error) error {
	uid, gid := fromStatus(pid, "Uid:"), fromStatus(pid, "Gid:")
	if uid == 0 {
		return fn()
	}
	result := make(chan error, 1)
	go func() {
		// The thread ends with the goroutine, and its user with it.
		runtime.LockOSThread()
		for _, id := range []struct{ call, to uintptr }{
			{unix.SYS_SETRESGID, uintptr(gid)}, {unix.SYS_SETRESUID, uintptr(uid)},
		} {
			if _, _, errno := unix.RawSyscall(id.call, id.to, id.to, id.to); errno != 0 {
				result <- errno
				return
			}
		}
		result <- fn()
	}()
	return <-result
}

func limitError(pid int, err error) error {
	if errors.Is(err, unix.ESRCH) {
		return errNoTarget
	}
	if err != nil {
		return fmt.Errorf("change a limit of process %d: %w", pid, err)
	}
	return nil
}

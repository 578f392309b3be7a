// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// exhaustFiles lets the shim open no further file.
func exhaustFiles(ctx context.Context, c *cycle) error {
	return c.exhaustFilesOf(ctx, c.shimPID)
}

// exhaustVMMFiles and exhaustVirtiofsdFiles are that for the VMM, which is given a descriptor for all that is plugged, and
// for the daemon of the share, which opens what the guest does.
func exhaustVMMFiles(ctx context.Context, c *cycle) error { return c.exhaustFilesOf(ctx, c.vmmPID) }

func exhaustVirtiofsdFiles(ctx context.Context, c *cycle) error {
	return c.exhaustFilesOf(ctx, func() int { return c.helper("virtiofsd") })
}

func (c *cycle) exhaustFilesOf(ctx context.Context, find func() int) error {
	pid, err := c.await(ctx, find)
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

// exhaustPodMemory leaves the pod's cgroup no more memory than it has now, and has the guest take some where a container
// can: the host's kernel kills the VMM, the shim or virtiofsd for it.
func exhaustPodMemory(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.vmmPID)
	if err != nil {
		return err
	}
	if err := limitGroup(pid); err != nil {
		return err
	}
	if !c.atRest() || len(c.containers) < 2 {
		return nil
	}
	return c.inGuest(ctx, "exec probe eat 100000000")
}

// limitGroup sets the limit of memory of a process's cgroup to what the group uses.
func limitGroup(pid int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return errNoTarget
	}
	for line := range strings.Lines(string(text)) { // cgroups(7): number:controllers:path
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || fields[1] != "memory" && fields[1] != "" {
			continue
		}
		dir, usage, limit := "/sys/fs/cgroup/memory"+fields[2], "memory.usage_in_bytes", "memory.limit_in_bytes"
		if fields[1] == "" {
			dir, usage, limit = "/sys/fs/cgroup"+fields[2], "memory.current", "memory.max"
		}
		used, err := os.ReadFile(filepath.Join(dir, usage))
		if err != nil {
			continue // the hierarchy of version 2 without the controller, or the group is gone
		}
		if err := os.WriteFile(filepath.Join(dir, limit), used, 0); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("limit the memory of the pod's cgroup: %w", err)
		} else if err == nil {
			return nil
		}
	}
	return errNoTarget
}

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

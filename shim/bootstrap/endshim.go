// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// endShim waits for the serving process of pod id to leave and kills it when it
// does not. A process id that belongs to something else by now is left alone;
// the pidfd is taken before the check, so the answer cannot go stale.
func endShim(pid int, id string) error {
	if pid == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the shim's process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if dying(pid) {
		_, err := awaitEnd(fd, timeouts.ShimGrace) // beyond that, the ledger's lock is waited for
		return err
	}
	if !servesPod(pid, id) {
		return nil
	}
	if gone, err := awaitEnd(fd, timeouts.ShimGrace); gone || err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill the shim's process %d: %w", pid, err)
	}
	gone, err := awaitEnd(fd, timeouts.ShimKill)
	if err == nil && !gone {
		err = fmt.Errorf("the shim's process %d is still there %s after it was killed; "+
			"it waits in the kernel, look at /proc/%d/stack", pid, timeouts.ShimKill, pid)
	}
	return err
}

// dying reports whether the process's first thread has ended. It has no command
// line any more, and other threads may still hold files, the ledger's lock among
// them, until the pidfd tells the end of the last.
func dying(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	name := bytes.LastIndex(stat, []byte(") ")) // the name may hold anything, see proc(5)
	return err == nil && name >= 0 && bytes.HasPrefix(stat[name:], []byte(") Z"))
}

// servesPod reports whether the process's command line is that of spawn.
func servesPod(pid int, id string) bool {
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && bytes.Contains(cmdline, []byte("\x00-id\x00"+id+"\x00"))
}

// awaitEnd reports whether the process of a pidfd ended within d.
func awaitEnd(pidfd int, d time.Duration) (bool, error) {
	deadline := time.Now().Add(d)
	for {
		left := time.Until(deadline)
		if left < 0 {
			return false, nil
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("wait for the shim's process: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
}

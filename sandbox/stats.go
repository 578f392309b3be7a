// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
)

// Stats are the container's counters in the guest. The pause container has
// none, so its answer is empty; a stopped one is errdefs.ErrNotFound. The caller
// only reads the answer, which others may have got as well: counters of a guest that
// did next to nothing since are not asked for again, for a while.
func (c *Container) Stats(ctx context.Context) (*agentpb.StatsContainerResponse, error) {
	if c.pause {
		return &agentpb.StatsContainerResponse{CgroupStats: &agentpb.CgroupStats{}}, nil
	}
	if c.Status() == StatusStopped {
		return nil, fmt.Errorf("statistics of container %s: it is stopped: %w", c.id, errdefs.ErrNotFound)
	}
	vmm := c.sandbox.PID()
	if known := c.counted.recall(time.Now(), vmm); known != nil {
		return known, nil
	}
	agent := c.sandbox.guest()
	answer, err := ask(ctx, agent, "statistics of container "+c.id, timeouts.Query, agent.service.StatsContainer,
		&agentpb.StatsContainerRequest{ContainerId: c.id})
	if err == nil {
		c.counted.remember(answer, time.Now(), vmm)
	}
	return answer, err
}

// counted are the newest counters of a container. containerd asks every container of
// the node for them each second, and a guest that would do nothing else then does
// little else. What the guest does it needs its VMM to work for, whose processor time
// the host knows, so that counters of a guest that rests need not be asked for to be
// known. The zero value knows none. It is safe for concurrent use.
type counted struct {
	// mu guards what follows; a leaf.
	mu     sync.Mutex
	answer *agentpb.StatsContainerResponse // nil is none
	at     time.Time
	worked time.Duration // by the VMM when the answer had come
}

// restPart is the part of the time that a VMM may work whose guest rests: half a
// hundredth of one processor. One that truly rests takes a third of that, or less.
const restPart = 200

// recall returns the counters if they still hold now, and nil otherwise. vmm is the
// VMM's process.
func (c *counted) recall(now time.Time, vmm int) *agentpb.StatsContainerResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := now.Sub(c.at)
	if c.answer == nil || age >= timeouts.Counters {
		return nil
	}
	if worked, known := processorTime(vmm); !known || worked-c.worked > timeouts.CountersTail+age/restPart {
		return nil
	}
	return c.answer
}

// remember takes note of what the guest has just answered.
func (c *counted) remember(answer *agentpb.StatsContainerResponse, now time.Time, vmm int) {
	worked, known := processorTime(vmm)
	if !known {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer, c.at, c.worked = answer, now, worked
}

// forget has the next question go to the guest.
func (c *counted) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = nil
}

// processorTime is the time that all threads of a process have run. It is not known
// of one that is not there.
func processorTime(pid int) (time.Duration, bool) {
	if pid <= 0 {
		return 0, false
	}
	var t unix.Timespec
	if err := unix.ClockGettime(processClock(pid), &t); err != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}

// processClock is the clock of a process's processor time, as clock_getcpuclockid(3)
// makes it: the complement of the pid, and CPUCLOCK_SCHED of the kernel's
// include/linux/posix-timers.h.
func processClock(pid int) int32 { return int32(^pid<<3 | 2) }

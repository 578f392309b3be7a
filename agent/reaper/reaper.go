// SPDX-License-Identifier: Apache-2.0

package reaper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Exit is the end of one process.
type Exit struct {
	PID int
	// Status is the exit code, or 128 plus the number of the signal that
	// ended the process.
	Status int
	// At is when the reaper saw the end.
	At time.Time
}

// Reaper waits for all children of this process. Make it with [New] and keep
// [Reaper.Run] running.
type Reaper struct {
	// starting is held for reading while a child is started and registered,
	// and for writing while ends are collected, so that no end is seen before
	// its process is registered, and starts do not wait for each other.
	starting sync.RWMutex

	shield shield

	// mu guards what follows. It is taken under starting.
	mu      sync.Mutex
	waiters map[int]chan Exit
	watches map[*Watch]struct{}
}

// New returns a reaper and makes this process the parent of orphaned
// descendants (PR_SET_CHILD_SUBREAPER), which PID 1 is anyway.
func New() (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of orphaned processes: %w", err)
	}
	s, err := newShield()
	if err != nil {
		return nil, err
	}
	return &Reaper{shield: s, waiters: map[int]chan Exit{}, watches: map[*Watch]struct{}{}}, nil
}

// Run collects ends until ctx ends.
func (r *Reaper) Run(ctx context.Context) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	defer signal.Stop(children)
	for {
		r.collect()
		select {
		case <-ctx.Done():
			return
		case <-children:
		}
	}
}

// collect waits for every child that has ended and tells who asked.
func (r *Reaper) collect() {
	r.starting.Lock()
	defer r.starting.Unlock()
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		r.publish(Exit{PID: pid, Status: status(ws), At: time.Now()})
	}
}

func status(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

func (r *Reaper) publish(e Exit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.waiters[e.PID]; ok {
		delete(r.waiters, e.PID)
		c <- e
		return
	}
	for w := range r.watches {
		w.seen[e.PID] = e
	}
}

// Start starts the command, without the agent's protection from the OOM killer,
// and returns a channel that gets its end, once. The
// caller calls cmd.Wait after that to release the command's pipes, and ignores
// its error: the status is already collected.
func (r *Reaper) Start(cmd *exec.Cmd) (<-chan Exit, error) {
	return r.start(cmd)
}

func (r *Reaper) start(cmd *exec.Cmd) (chan Exit, error) {
	r.starting.RLock()
	defer r.starting.RUnlock()
	if err := r.shield.without(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return r.register(cmd.Process.Pid), nil
}

func (r *Reaper) register(pid int) chan Exit {
	c := make(chan Exit, 1)
	r.mu.Lock()
	r.waiters[pid] = c
	r.mu.Unlock()
	return c
}

// RunCommand starts the command, waits for its end and returns its status. A status
// other than zero is not an error.
func (r *Reaper) RunCommand(cmd *exec.Cmd) (int, error) {
	c, err := r.start(cmd)
	if err != nil {
		return 0, err
	}
	e := <-c
	_ = cmd.Wait() // only to release pipes and goroutines
	return e.Status, nil
}

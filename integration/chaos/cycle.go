// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/node"
)

// cycle is one pod, from its start to its removal, and what happens to it.
type cycle struct {
	*suite
	plan       plan
	began      time.Time
	name       string
	containers []string // ids of those that were created, in order
	up         bool     // the pod was started
	begun      int      // how many of the containers were started
	end        error    // of the life
	calls      []made   // those of the life, in order
	cut        bool     // the engine died under a call
	pastNetNS  string   // the pod's network namespace, of an engine that dies
	stopped    bool     // the first was asked to end, and may do so with code 0
	states     *states
	waiters    *waiters
	over       chan struct{} // closed when the life is over
	struck     struct {      // what the strike found, for the lift
		pid   int
		limit unix.Rlimit
	}
	fire     chan struct{} // closed at the point
	fireOnce sync.Once
	late     bool // the point never came
	hit      hit

	mu     sync.Mutex
	pod    string // its id, once known
	wrongs []string
	ledger []string
}

// hit is how the strike went.
type hit struct {
	done   chan struct{} // closed when it is in effect, or failed
	lifted chan struct{} // closed when it is over
	at     time.Time
	err    error

	liftedAt time.Time // set once lifted is closed
}

func newCycle(s *suite, p plan) *cycle {
	return &cycle{
		suite: s, plan: p, began: time.Now(), name: fmt.Sprintf("victim-%d", p.cycle+1),
		over: make(chan struct{}), fire: make(chan struct{}),
		hit:    hit{done: make(chan struct{}), lifted: make(chan struct{})},
		states: newStates(s.stalls), waiters: &waiters{},
	}
}

// cycleLimit ends a cycle in which everything hangs.
const cycleLimit = 6 * time.Minute

// cycle runs a plan and judges it.
func (s *suite) cycle(ctx context.Context, p plan) result {
	ctx, cancel := context.WithTimeout(ctx, cycleLimit)
	defer cancel()
	c := newCycle(s, p)
	s.events.begin()
	stop, err := c.observe()
	if err != nil {
		return result{plan: p, wrongs: []string{err.Error()}}
	}
	defer stop()
	go c.strike(ctx)
	c.end = c.live(ctx)
	c.judgeLife(c.end)
	c.judgeDeath(ctx)
	close(c.over)
	if c.isHit() && !stopping(c.plan.point) {
		<-c.hit.lifted
	}
	removing := time.Now()
	c.remove(ctx)
	<-c.hit.lifted
	c.states.stop()
	took := time.Since(removing)
	c.judgeWaiters(time.Now())
	c.judgeCause()
	left := c.judgeRest(ctx)
	if len(c.wrongs) > 0 {
		c.keep()
		c.reset(ctx)
	}
	return c.result(took, left)
}

// undisturbed is a life without a fault.
func (c *cycle) undisturbed(ctx context.Context) error {
	c.log.begin(func(string) {})
	c.events.begin()
	stop, err := c.observe()
	if err != nil {
		return err
	}
	defer stop()
	close(c.hit.done)
	close(c.hit.lifted)
	err = c.live(ctx)
	close(c.over)
	c.remove(ctx)
	c.states.stop()
	if len(c.wrongs) > 0 {
		err = errors.Join(err, errors.New(strings.Join(c.wrongs, "; ")))
	}
	return err
}

// strike waits for the point and does it.
func (c *cycle) strike(ctx context.Context) {
	defer func() {
		c.hit.liftedAt = time.Now()
		close(c.hit.lifted)
	}()
	<-c.fire
	select {
	case <-time.After(c.plan.delay):
	case <-ctx.Done():
	}
	c.hit.err = c.plan.fault.strike(ctx, c)
	c.hit.at = time.Now()
	close(c.hit.done)
	if c.plan.fault.lift == nil || c.hit.err != nil {
		return
	}
	select {
	case <-time.After(c.plan.hold):
	case <-ctx.Done():
	}
	if err := c.plan.fault.lift(context.WithoutCancel(ctx), c); err != nil {
		c.wrong("the fault cannot be taken back: %v", err)
	}
}

// reach says that the life has come to a point.
func (c *cycle) reach(point string) {
	if point == c.plan.point {
		c.fireOnce.Do(func() { close(c.fire) })
	}
}

// strikeNow is for a point that never came.
func (c *cycle) strikeNow() {
	c.fireOnce.Do(func() { c.late = true; close(c.fire) })
}

// dead tells whether the pod was struck by something that it does not survive.
func (c *cycle) dead() bool {
	return c.wasHit() && c.plan.fault.effect == deadly && !c.survived()
}

// survived tells whether the strike hit a clone of a template that had not run yet: its pod boots another VM then.
func (c *cycle) survived() bool {
	if !c.up || c.plan.fault.effect != deadly {
		return false
	}
	for line := range strings.Lines(c.log.text()) {
		if strings.Contains(line, "could not be cloned from its template: it boots") && strings.Contains(strings.TrimSpace(line)+" ", " sandbox="+c.id()+" ") {
			return true
		}
	}
	return false
}

// wasHit tells whether the strike has had an effect.
func (c *cycle) wasHit() bool {
	select {
	case <-c.hit.done:
		return c.hit.err == nil && !c.hit.at.IsZero()
	default:
		return false
	}
}

// wrong notes a violation.
func (c *cycle) wrong(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrongs = append(c.wrongs, fmt.Sprintf(format, args...))
}

// id is the pod's, or the lone container's; "" before the shim is there.
func (c *cycle) id() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pod
}

func (c *cycle) lone() bool { return c.plan.handler == loneHandler }

// namespace is containerd's.
func (c *cycle) namespace() string {
	if c.lone() {
		return c.node.Name()
	}
	return "k8s.io"
}

// bundles is where containerd makes the bundle that the pod begins with.
func (c *cycle) bundles() string {
	kind := "io.containerd.runtime.v2.task"
	if c.plan.handler == node.SandboxAPIHandler {
		kind = "io.containerd.sandbox.controller.v1.shim"
	}
	return c.node.Inside(filepath.Join(c.node.Root, "state", kind, c.namespace()))
}

func (c *cycle) bundle() string { return filepath.Join(c.bundles(), c.id()) }

// ledgerLines are those that the pod's ledger has, or had.
func (c *cycle) ledgerLines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger
}

// keep stores the log of the cycle.
func (c *cycle) keep() {
	if err := c.keepLog(c.plan.cycle, c.log.text()); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
}

// reset takes what a violation left for the new empty state, so that it counts once.
func (c *cycle) reset(ctx context.Context) {
	if now, err := c.node.Inventory(context.WithoutCancel(ctx)); err == nil {
		c.nothing = now
	}
}

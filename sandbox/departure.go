// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"sync"

	"github.com/katapod/katapod/protocols/timeouts"
)

// departures are containers that were deleted and are still being cleared away in the
// guest. The zero value is ready.
type departures struct {
	mu   sync.Mutex               // guards left; a leaf, nothing is taken under it
	left map[string]chan struct{} // by id; closed once the container is gone
}

// begin notes that the container of that id leaves, until end is called.
func (d *departures) begin(id string) (end func()) {
	gone := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == nil {
		d.left = map[string]chan struct{}{}
	}
	d.left[id] = gone
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.left, id)
		close(gone)
	}
}

// wait returns when no container of that id leaves any more.
func (d *departures) wait(ctx context.Context, id string) error {
	d.mu.Lock()
	gone := d.left[id]
	d.mu.Unlock()
	if gone == nil {
		return nil
	}
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the container of that id that was deleted: %w", context.Cause(ctx))
	}
}

// waitAll returns when all that leave now are gone. They are as soon as the life of
// their pod is over.
func (d *departures) waitAll() {
	d.mu.Lock()
	all := make([]chan struct{}, 0, len(d.left))
	for _, gone := range d.left {
		all = append(all, gone)
	}
	d.mu.Unlock()
	for _, gone := range all {
		<-gone
	}
}

// keepsNothing tells whether the container has nothing on the host but files that it
// read, and nobody waits for its removal: then it can go from the guest behind the
// back of who deletes it, which mostly stops the pod next.
func (c *Container) keepsNothing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inGuest && !c.keeps && len(c.hooked.hooks.Stop) == 0
}

// depart clears a container away that keeps nothing. What fails is only logged: it
// is the guest's memory, and a file that stays open until the VM ends.
func (c *Container) depart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Release)
	end := c.sandbox.leaving.begin(c.id)
	c.sandbox.forget(c)
	// The pod's: its calls end with their answers or with the pod's life, and the
	// release of the pod waits for it.
	go func() {
		defer end()
		defer cancel()
		err := c.removeFromGuest(ctx)
		if err == nil {
			err = c.release(ctx)
		}
		if err != nil && !c.sandbox.life.over() {
			c.log().WithError(err).Error("a container that was deleted could not be cleared away in the guest; what it has there goes with the pod")
		}
	}()
}

// holdsUnwritten tells whether the guest may have something that is to be written to
// the host's disks or files.
func (s *Sandbox) holdsUnwritten() bool {
	var shares bool
	s.parts.with(func(p *parts) { shares = p.share != nil })
	if shares {
		return true
	}
	for _, c := range s.Containers() {
		c.mu.Lock()
		writes := c.inGuest && c.keeps
		c.mu.Unlock()
		if writes {
			return true
		}
	}
	return false
}

// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor/internal/life"
	"github.com/katapod/katapod/protocols/transport"
)

// dialer reaches the guest of a VM from before its start until its end. The
// carrier is known only when the VM runs; no dial outlives the VM.
type dialer struct {
	cycle *life.Cycle
	ended chan struct{}

	// mu guards what follows.
	mu      sync.Mutex
	closed  bool
	carrier transport.Dialer
}

func newDialer(cycle *life.Cycle) *dialer {
	return &dialer{cycle: cycle, ended: make(chan struct{})}
}

// connect sets the carrier, once, before the VM is said to run.
func (d *dialer) connect(carrier transport.Dialer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.carrier = carrier
	if d.closed {
		_ = carrier.Close() // Nothing was dialled through it.
	}
}

// Dial implements [transport.Dialer].
func (d *dialer) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	select {
	case <-d.cycle.Running():
	case <-d.ended:
		return nil, gone(port)
	case <-d.cycle.Done():
		return nil, gone(port)
	case <-ctx.Done():
		return nil, fmt.Errorf("reach guest port %d: the VM does not run yet: %w", port, ctx.Err())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{})
	defer close(over)
	// It ends with the call.
	go func() {
		select {
		case <-d.ended:
			cancel(gone(port))
		case <-over:
		}
	}()
	d.mu.Lock()
	carrier := d.carrier
	d.mu.Unlock()
	conn, err := carrier.Dial(ctx, port)
	if err != nil && errors.Is(context.Cause(ctx), errdefs.ErrUnavailable) {
		return nil, context.Cause(ctx)
	}
	return conn, err
}

func gone(port uint32) error {
	return fmt.Errorf("reach guest port %d: the VM has ended: %w", port, errdefs.ErrUnavailable)
}

// Close implements [transport.Dialer]. Streams break and no more can be made;
// the VM goes on.
func (d *dialer) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	close(d.ended)
	if d.carrier == nil {
		return nil
	}
	return d.carrier.Close()
}

// end is Close for a VM that has ended, where a failure changes nothing.
func (d *dialer) end() { _ = d.Close() }

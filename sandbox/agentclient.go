// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/guard"
	"github.com/katapod/katapod/protocols/stdio"
)

// agentClient asks the agent in the guest. Every call is bounded by the
// caller's context, the pod's life and a time of its own.
type agentClient struct {
	client   *ttrpc.Client
	service  agentpb.AgentServiceService
	health   agentpb.HealthService
	life     life
	features []string // set once, before containers exist
	// memoryBlock is in what the guest's kernel takes memory, in bytes, 0 if unknown;
	// set like features.
	memoryBlock uint64
	launches    turns
	lastHeard   atomic.Pointer[time.Time]
}

// newAgentClient takes over conn. lost is called when the connection ends, also
// after close, and maybe more than once. A guest that breaks the protocol has lost
// it, see package guard.
func newAgentClient(conn net.Conn, l life, lost func(error)) *agentClient {
	client := ttrpc.NewClient(agentConn{Conn: guard.New(conn), lost: lost})
	a := &agentClient{
		client:  client,
		service: agentpb.NewAgentServiceClient(client),
		health:  agentpb.NewHealthClient(client),
		life:    l,

		launches: make(turns, launchesAtOnce),
	}
	a.hear()
	return a
}

// hear takes note that the agent has answered just now.
func (a *agentClient) hear() {
	now := time.Now()
	a.lastHeard.Store(&now)
}

// heard is when the agent answered last, at first when it was connected.
func (a *agentClient) heard() time.Time { return *a.lastHeard.Load() }

// close ends the connection; calls that wait return.
func (a *agentClient) close() { _ = a.client.Close() }

// hasStdioStreams tells whether standard streams have connections of their own.
func (a *agentClient) hasStdioStreams() bool { return slices.Contains(a.features, stdio.Feature) }

// rpc is one method of a generated client.
type rpc[Req, Resp any] func(context.Context, *Req) (*Resp, error)

// ask makes one call to the guest. what begins the error's sentence. A timeout
// of 0 waits until the pod ends.
func ask[Req, Resp any](ctx context.Context, a *agentClient, what string, timeout time.Duration, call rpc[Req, Resp], req *Req) (*Resp, error) {
	bounded, cancel := a.life.during(ctx, timeout)
	defer cancel()
	type answer struct {
		resp *Resp
		err  error
	}
	// The client writes without heeding ctx, and a guest that stopped reading
	// would hold the caller.
	answered := make(chan answer, 1)
	// It ends with the call, which bounded bounds; nobody waits for it when that is over.
	go func() {
		resp, err := call(bounded, req)
		answered <- answer{resp, err}
	}()
	select {
	case got := <-answered:
		if got.err == nil {
			a.hear()
			return got.resp, nil
		}
		return nil, a.explain(ctx, bounded, what, timeout, got.err)
	case <-bounded.Done():
		return nil, a.explain(ctx, bounded, what, timeout, bounded.Err())
	}
}

// explain makes a sentence of a failed call, with the sentinels of errdefs. bounded is
// the call's own context: as long as it goes on, a deadline that was missed is one that
// the agent tells of.
func (a *agentClient) explain(ctx, bounded context.Context, what string, timeout time.Duration, err error) error {
	native := errgrpc.ToNative(guard.Shorten(err))
	switch {
	case a.life.over():
		return a.life.explain(what, native)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: the caller gave up: %w", what, context.Cause(ctx))
	case errors.Is(bounded.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: the agent did not answer within %v: %w", what, timeout, context.DeadlineExceeded)
	case errors.Is(err, ttrpc.ErrClosed):
		return fmt.Errorf("%s: the connection to the agent is closed: %w", what, errdefs.ErrUnavailable)
	}
	return fmt.Errorf("%s: the agent says: %w", what, native)
}

// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/containerd/log"
	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/shim/bootstrap"
	"github.com/katapod/katapod/shim/events"
	"github.com/katapod/katapod/shim/pod"
)

const (
	// collectAt trades a little CPU for memory: one shim runs per pod.
	collectAt = 40
)

// Serve serves a pod on the socket that start passed on, until its last container
// is gone or a signal comes. The working directory is the bundle.
func Serve(ctx context.Context, inv bootstrap.Invocation) error {
	debug.SetGCPercent(collectAt)
	ctx, err := setLogger(ctx, inv)
	if err != nil {
		return err
	}
	listener, err := inherited()
	if err != nil {
		return err
	}
	address, err := events.NewForwarder(os.Getenv("TTRPC_ADDRESS"))
	if err != nil {
		return err
	}
	queue := events.New(ctx, inv.Namespace, address)
	own, err := ownBinary()
	if err != nil {
		return err
	}
	thrift := newThrift(ctx, own.giveBackPages, own.giveBack)
	defer thrift.stop()
	over, leave := context.WithCancel(ctx)
	defer leave()
	holder := pod.New(thrift.factory(pod.Real))
	engines := newConnections(ttrpc.UnixSocketRequireSameUser())
	server, err := newServer(newServices(inv.Namespace, holder, thrifty{queue, thrift}, leave), engines, thrift.intercept)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	// It ends with the server, which is closed below.
	go func() { failed <- server.Serve(ctx, listener) }()
	stopSignals := onSignals(ctx, leave)
	defer stopSignals()
	select {
	case <-over.Done():
	case err = <-failed:
		err = fmt.Errorf("serve containerd: %w", err)
	}
	err = errors.Join(err, end(ctx, holder, queue))
	hangingUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.HangUp)
	defer cancel()
	engines.wait(hangingUp)
	return errors.Join(err, server.Close(), removeSocket())
}

// inherited is the socket that start made.
func inherited() (net.Listener, error) {
	f := os.NewFile(bootstrap.SocketFD, "socket")
	listener, err := net.FileListener(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("file descriptor %d is not a socket: "+
			"this binary is started by containerd, with the action start: %w", bootstrap.SocketFD, err), f.Close())
	}
	return listener, f.Close()
}

// newServer serves those whom the handshaker lets in, through an interceptor.
func newServer(s services, h ttrpc.Handshaker, i ttrpc.UnaryServerInterceptor) (*ttrpc.Server, error) {
	server, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(h), ttrpc.WithUnaryServerInterceptor(i))
	if err != nil {
		return nil, fmt.Errorf("make the server for containerd: %w", err)
	}
	return server, s.register(server)
}

// end stops what a signal left of the pod, and hands over the last events.
func end(ctx context.Context, p *pod.Pod, q *events.Queue) error {
	stopping, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Stop)
	defer cancelStop()
	if err := p.End(stopping); err != nil {
		log.G(ctx).WithError(err).Error("the pod did not end cleanly; the delete action releases the rest")
	}
	leaving, cancelLeave := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Leave)
	defer cancelLeave()
	return q.Close(leaving)
}

// removeSocket removes the file of the socket, whose name start left in the
// bundle.
func removeSocket() error {
	address, err := os.ReadFile(filepath.Join(".", bootstrap.FileAddress))
	if err != nil {
		return fmt.Errorf("find the shim's socket: %w", err)
	}
	return bootstrap.RemoveSocket(string(address))
}

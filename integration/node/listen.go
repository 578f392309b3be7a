// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Listen listens on a TCP address in the node's network namespace. The listener may be used from anywhere: a socket
// stays in the namespace it was made in.
func (n *Node) Listen(ctx context.Context, address string) (net.Listener, error) {
	type result struct {
		listener net.Listener
		err      error
	}
	done := make(chan result, 1)
	go func() {
		// The thread ends with this goroutine, because it is locked and stays so: nothing else runs in the namespace.
		runtime.LockOSThread()
		listener, err := listenIn(ctx, fmt.Sprintf("/proc/%d/ns/net", n.keeper.pid()), address)
		done <- result{listener, err}
	}()
	r := <-done
	return r.listener, r.err
}

func listenIn(ctx context.Context, namespace, address string) (net.Listener, error) {
	file, err := os.Open(namespace)
	if err != nil {
		return nil, fmt.Errorf("open the node's network namespace: %w", err)
	}
	err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("enter the node's network namespace: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen inside the node: %w", err)
	}
	return listener, nil
}

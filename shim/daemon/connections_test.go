// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/integration/leaktest"
)

// A call that makes the shim leave is answered all the same, and the shim leaves
// as soon as the engine has hung up.
func TestTheLastCallIsAnswered(t *testing.T) {
	held := newConnections(ttrpc.UnixSocketRequireSameUser())
	server, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(held))
	if err != nil {
		t.Fatal(err)
	}
	leave := make(chan struct{})
	server.RegisterService("s", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Leave": func(context.Context, func(any) error) (any, error) {
			close(leave)
			time.Sleep(50 * time.Millisecond) // what a busy host does between the call and its answer
			return &emptypb.Empty{}, nil
		},
	}})
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(t.Context(), listener) }()
	left := make(chan time.Time, 1)
	go func() {
		<-leave
		bounded, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		held.wait(bounded)
		_ = server.Close()
		left <- time.Now()
	}()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	if err := client.Call(t.Context(), "s", "Leave", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Errorf("the call that makes the shim leave: %v", err)
	}
	hungUp := time.Now()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if took := leaktest.Receive(t, left).Sub(hungUp); took > 30*time.Second { // half of what it may wait
		t.Errorf("the shim left %s after the engine hung up", took)
	}
}

// An engine that keeps its connection does not keep the shim.
func TestAnEngineThatHoldsOnIsLeft(t *testing.T) {
	held := newConnections(ttrpc.UnixSocketRequireSameUser())
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := held.Handshake(t.Context(), accepted)
	if err != nil {
		t.Fatal(err)
	}
	bounded, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	held.wait(bounded)
	if bounded.Err() == nil {
		t.Error("an open connection counted as closed")
	}
	for range 2 { // ttrpc may close one twice
		_ = conn.Close()
	}
	held.wait(t.Context())
}

// SPDX-License-Identifier: Apache-2.0

package unread

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
)

// TestMarkArrives at the other end of a connection, and only with calls that have it.
func TestMarkArrives(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	var seen []bool
	server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(
		func(ctx context.Context, decode ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, _ ttrpc.Method) (any, error) {
			other, _ := ttrpc.GetMetadataValue(ctx, "other")
			seen = append(seen, Marked(ctx) && other == "kept")
			return &emptypb.Empty{}, decode(&agentpb.UpdateRoutesRequest{})
		}))
	if err != nil {
		t.Fatal(err)
	}
	agentpb.RegisterAgentServiceService(server, unserved{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	agent := agentpb.NewAgentServiceClient(client)
	plain := ttrpc.WithMetadata(t.Context(), ttrpc.MD{"other": {"kept"}})
	for _, ctx := range []context.Context{plain, Mark(plain), plain} {
		if _, err := agent.UpdateRoutes(ctx, &agentpb.UpdateRoutesRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 3 || seen[0] || !seen[1] || seen[2] {
		t.Errorf("calls that were marked: %v", seen)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	leaktest.Receive(t, served)
}

// unserved is a service whose calls the interceptor answers.
type unserved struct{ agentpb.AgentServiceService }

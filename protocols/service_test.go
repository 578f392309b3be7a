// SPDX-License-Identifier: Apache-2.0

package protocols_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
)

// TestServicesOnTheWire calls through the generated clients a server that knows
// no generated code, so that the path of a call is what upstream's is.
func TestServicesOnTheWire(t *testing.T) {
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	answer := func(m proto.Message) ttrpc.Method {
		return func(_ context.Context, unmarshal func(any) error) (any, error) {
			return m, unmarshal(&agentpb.CheckRequest{})
		}
	}
	server.Register("grpc.Health", map[string]ttrpc.Method{
		"Check": answer(&agentpb.HealthCheckResponse{Status: agentpb.HealthCheckResponse_SERVING}),
	})
	server.Register("grpc.AgentService", map[string]ttrpc.Method{
		"GetGuestDetails": answer(&agentpb.GuestDetailsResponse{MemBlockSizeBytes: 7}),
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	client := connect(t, ctx, server)
	health, err := agentpb.NewHealthClient(client).Check(ctx, &agentpb.CheckRequest{})
	if err != nil || health.Status != agentpb.HealthCheckResponse_SERVING {
		t.Errorf("Health.Check gave %v, %v", health, err)
	}
	details, err := agentpb.NewAgentServiceClient(client).GetGuestDetails(ctx, &agentpb.GuestDetailsRequest{})
	if err != nil || details.MemBlockSizeBytes != 7 {
		t.Errorf("AgentService.GetGuestDetails gave %v, %v", details, err)
	}
}

func connect(t *testing.T, ctx context.Context, server *ttrpc.Server) *ttrpc.Client {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "agent"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := leaktest.Receive(t, done); err != nil && !errors.Is(err, ttrpc.ErrServerClosed) {
			t.Error(err)
		}
	})
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := ttrpc.NewClient(c)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

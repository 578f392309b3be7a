// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/guard"
)

// warmUp makes the calls that every pod begins with and that leave nothing behind
// in the guest. It closes conn.
func warmUp(ctx context.Context, conn net.Conn) error {
	client := ttrpc.NewClient(guard.New(conn))
	defer client.Close() // Nothing is under way.
	agent := agentpb.NewAgentServiceClient(client)
	if _, err := agentpb.NewHealthClient(client).Check(ctx, &agentpb.CheckRequest{}); err != nil {
		return fmt.Errorf("check the agent's health: %w", err)
	}
	if _, err := agent.GetGuestDetails(ctx, &agentpb.GuestDetailsRequest{}); err != nil {
		return fmt.Errorf("ask for the guest's details: %w", err)
	}
	now := time.Now()
	if _, err := agent.SetGuestDateTime(ctx, &agentpb.SetGuestDateTimeRequest{Sec: now.Unix(), Usec: int64(now.Nanosecond() / 1000)}); err != nil {
		return fmt.Errorf("set the guest's clock: %w", err)
	}
	seed := make([]byte, 64)
	_, _ = rand.Read(seed) // never fails: crypto/rand ends the program instead
	if _, err := agent.ReseedRandomDev(ctx, &agentpb.ReseedRandomDevRequest{Data: seed}); err != nil {
		return fmt.Errorf("add to the guest's entropy: %w", err)
	}
	return nil
}

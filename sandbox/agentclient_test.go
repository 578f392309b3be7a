// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
)

// TestAskWordsDeadlines tells an agent that says that something took too long from one
// that says nothing.
func TestAskWordsDeadlines(t *testing.T) {
	agent := newFakeAgent()
	host, guest := net.Pipe()
	served := make(chan struct{})
	// It ends with the connection; the test waits.
	go func() {
		defer close(served)
		agent.serve(guest)
	}()
	l := newLife()
	client := newAgentClient(host, l, func(error) {})
	defer func() {
		client.close()
		l.end(errStopped)
		leaktest.Receive(t, served)
	}()
	stats := func(timeout time.Duration) string {
		t.Helper()
		_, err := ask(t.Context(), client, "ask for numbers", timeout, client.service.StatsContainer, &agentpb.StatsContainerRequest{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the call ends with %v", err)
		}
		return err.Error()
	}

	agent.failAt("StatsContainer", status.Error(codes.DeadlineExceeded, "no device appeared within 10s"))
	if got := stats(time.Minute); !strings.Contains(got, "the agent says") || !strings.Contains(got, "no device appeared within 10s") {
		t.Errorf("what the agent said is %q", got)
	}
	agent.hangAt("StatsContainer")
	if got := stats(50 * time.Millisecond); !strings.Contains(got, "the agent did not answer within 50ms") {
		t.Errorf("what a silent agent did is %q", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/stdio"
)

func TestConnectionBeforeClaimAndAfter(t *testing.T) {
	for _, claimFirst := range []bool{true, false} {
		r := New()
		host, guest := net.Pipe()
		token := stdio.NewToken()
		got := make(chan net.Conn, 1)
		claim := func() {
			c, err := r.Claim(context.Background(), token)
			if err != nil {
				t.Error(err)
			}
			got <- c
		}
		deliver := func() {
			go r.greet(guest)
			if err := token.Write(host); err != nil {
				t.Error(err)
			}
		}
		if claimFirst {
			go claim()
			waitFor(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.waiting) == 1 })
			deliver()
		} else {
			deliver()
			waitFor(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.arrived == 1 })
			go claim()
		}
		if c := leaktest.Receive(t, got); c != guest {
			t.Fatalf("claimFirst=%v: claimed %v", claimFirst, c)
		}
		if len(r.waiting) != 0 || r.arrived != 0 {
			t.Fatalf("claimFirst=%v: the registry keeps %d, %d arrived", claimFirst, len(r.waiting), r.arrived)
		}
	}
}

func TestTokenTwice(t *testing.T) {
	r := New()
	a, _ := net.Pipe()
	if err := r.Deliver(7, a); err != nil {
		t.Fatal(err)
	}
	if err := r.Deliver(7, a); !errors.Is(err, errdefs.ErrAlreadyExists) {
		t.Fatalf("second delivery: %v", err)
	}
	if _, err := r.Claim(context.Background(), 7); err != nil {
		t.Fatal(err)
	}
}

func TestClaimEndsWithContext(t *testing.T) {
	r := New()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Claim(ctx, 9); !errors.Is(err, context.Canceled) {
		t.Fatalf("claim: %v", err)
	}
	if len(r.waiting) != 0 {
		t.Fatal("an abandoned claim stays registered")
	}
}

func TestUnclaimedConnectionsAreBounded(t *testing.T) {
	r := New()
	c, _ := net.Pipe()
	for i := 1; i <= maxUnclaimed; i++ {
		if err := r.Deliver(stdio.Token(i), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Deliver(maxUnclaimed+1, c); !errors.Is(err, errdefs.ErrResourceExhausted) {
		t.Fatalf("one too many: %v", err)
	}
}

func TestZeroTokenIsRefused(t *testing.T) {
	r := New()
	host, guest := net.Pipe()
	go r.greet(guest)
	if _, err := host.Write(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("the connection is not closed: %v", err)
	}
}

// waitFor polls for what is done inside the registry, of which it tells nobody.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timeout")
		}
	}
}

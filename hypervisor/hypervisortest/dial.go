// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/transport"
)

// unusedPort is a guest port that nobody listens on.
const unusedPort = 4000

func dialKeepsItsDeadline(t *testing.T, d Driver) {
	vm := newVM(t, d, nil)
	mustTimeOut(t, vm, "before the start", transport.PortAgent)
	if err := vm.Start(short(t)); err != nil {
		t.Fatalf("start: %v", err)
	}
	mustTimeOut(t, vm, "before the guest is up", unusedPort)
	mustEcho(t, vm)
	mustTimeOut(t, vm, "where nobody listens", unusedPort)
	mustEcho(t, vm)
}

func mustTimeOut(t *testing.T, vm hypervisor.VM, when string, port uint32) {
	t.Helper()
	const limit, slack = 50 * time.Millisecond, patience / 2
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	c, err := vm.Dialer().Dial(ctx, port)
	if err == nil {
		c.Close()
		t.Errorf("dial %s: got a connection", when)
	} else if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial %s: %v, want that the deadline passed", when, err)
	}
	if took := time.Since(began); took > limit+slack {
		t.Errorf("dial %s waited %v, its limit was %v", when, took, limit)
	}
}

func dialEndsWithTheVM(t *testing.T, d Driver) {
	vm := started(t, d)
	result := make(chan error, 1)
	go func() {
		c, err := vm.Dialer().Dial(short(t), unusedPort)
		if err == nil {
			c.Close()
		}
		result <- err
	}()
	if err := vm.Stop(short(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-result:
		if err == nil {
			t.Error("a port without a listener was dialled")
		}
	case <-time.After(patience):
		t.Error("a dial waits on a VM that has ended")
	}
}

// mustEcho sees that the guest's agent port echoes.
func mustEcho(t *testing.T, vm hypervisor.VM) {
	t.Helper()
	if err := dialEcho(short(t), vm); err != nil {
		t.Fatal(err)
	}
}

func dialEcho(ctx context.Context, vm hypervisor.VM) error {
	c, err := vm.Dialer().Dial(ctx, transport.PortAgent)
	if err != nil {
		return fmt.Errorf("dial the guest: %w", err)
	}
	defer c.Close()
	if err := echo(c); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	return nil
}

func echo(c net.Conn) error {
	const text = "is anybody there?"
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != text {
		return errors.New("it came back changed: " + string(got))
	}
	return nil
}

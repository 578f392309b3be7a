// SPDX-License-Identifier: Apache-2.0

package interrupt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envChild makes a run of these tests one that is interrupted.
const envChild = "KATAPOD_TEST_INTERRUPTED"

// shared is what the tests of a node have.
var shared struct{ interrupted context.Context }

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, stop := Context()
	defer stop()
	shared.interrupted = ctx
	if os.Getenv(envChild) != "" {
		defer fmt.Println("the node was cleaned up")
	}
	return m.Run()
}

func TestChildThatWaits(t *testing.T) {
	if os.Getenv(envChild) == "" {
		t.Skip("this is a part of TestSignalEndsTestsAndCleansUp")
	}
	ctx := Bound(t, shared.interrupted, time.Minute)
	defer fmt.Println("the pod was removed")
	fmt.Println("ready")
	<-ctx.Done()
	t.Log(context.Cause(ctx))
}

func TestChildBehind(t *testing.T) {
	if os.Getenv(envChild) == "" {
		t.Skip("this is a part of TestSignalEndsTestsAndCleansUp")
	}
	Bound(t, shared.interrupted, time.Minute)
	fmt.Println("a test began")
}

func TestSignalEndsTestsAndCleansUp(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChild", "-test.v")
		cmd.Env = append(os.Environ(), envChild+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said, tail := new(bytes.Buffer), make([]byte, 1)
		for !strings.Contains(said.String(), "ready\n") {
			if _, err := out.Read(tail); err != nil {
				t.Fatalf("the tests said %q, error %v", said, err)
			}
			said.Write(tail)
		}
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(said, out)
		if err = errors.Join(err, cmd.Wait()); err == nil {
			t.Errorf("%v: tests that were interrupted passed", s)
		}
		for _, want := range []string{"the pod was removed", "the node was cleaned up", ErrInterrupted.Error()} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("%v: the tests did not say %q but\n%s", s, want, said)
			}
		}
		if strings.Contains(said.String(), "a test began") {
			t.Errorf("%v: a test began after the signal\n%s", s, said)
		}
	}
}

func TestBoundEndsWithItsLimit(t *testing.T) {
	ctx := Bound(t, context.Background(), time.Nanosecond)
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("error %v", ctx.Err())
	}
}

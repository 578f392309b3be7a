// SPDX-License-Identifier: Apache-2.0

package turnstile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/katapod/katapod/integration/leaktest"
)

// childDir makes the test's program a process that is in a place of this directory
// until its standard input ends.
const childDir = "KATAPOD_TEST_TURNSTILE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if _, err := New(dir, 1).Enter(context.Background()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("in")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	leaktest.Main(m)
}

func TestNoMoreThanThePlaces(t *testing.T) {
	const places, callers = 3, 40
	dir := filepath.Join(t.TempDir(), "made", "later")
	var in, most atomic.Int32
	var group sync.WaitGroup
	for range callers {
		// They end with the test, which waits for them.
		group.Go(func() {
			leave, err := New(dir, places).Enter(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			now := in.Add(1)
			defer in.Add(-1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			for range 1000 { // Others get to run.
				_ = os.Getpid()
			}
		})
	}
	group.Wait()
	if got := most.Load(); got > places {
		t.Errorf("%d were in at a time", got)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) == 0 || len(files) > places {
		t.Errorf("the places are %v, %v", files, err)
	}
}

// TestEveryPlaceIsUsed fills the places without waiting.
func TestEveryPlaceIsUsed(t *testing.T) {
	const places = 3
	stile := New(t.TempDir(), places)
	for range places {
		leave, err := stile.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	stile := New(t.TempDir(), 1)
	leave, err := stile.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	cause := errors.New("waited long enough")
	for _, early := range []bool{true, false} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if early {
			cancel(cause)
		}
		ended := make(chan error, 1)
		// It ends with ctx; the test waits.
		go func() {
			_, err := stile.Enter(ctx)
			ended <- err
		}()
		cancel(cause)
		if err := <-ended; !errors.Is(err, cause) || !strings.Contains(err.Error(), "take one of 1 places in") {
			t.Errorf("the wait ended with %v", err)
		}
	}
}

// TestLeavingIsTold reads the event itself, without the looks.
func TestLeavingIsTold(t *testing.T) {
	dir := t.TempDir()
	leave, err := New(dir, 1).Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	departures, err := watchDepartures(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer departures.Close()
	leave()
	if _, err := departures.Read(make([]byte, 4096)); err != nil {
		t.Error(err)
	}
}

// TestTheDeadHaveLeft kills a process that is in the only place.
func TestTheDeadHaveLeft(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 3)
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "in\n" {
		t.Fatalf("the child says %q, %v", said, err)
	}
	if leave, err := New(dir, 1).try(); leave != nil || err != nil {
		t.Fatalf("there is a place beside the child's, %v", err)
	}
	entered := make(chan error, 1)
	// It ends when the child has; the test waits.
	go func() {
		leave, err := New(dir, 1).Enter(t.Context())
		if err == nil {
			leave()
		}
		entered <- err
	}()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // It was killed.
	if err := <-entered; err != nil {
		t.Error(err)
	}
}

func TestNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(filepath.Join(file, "places"), 1).Enter(t.Context()); err == nil {
		t.Error("there are places in a file")
	}
}

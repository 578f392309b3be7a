// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A test's binary that is called for the rest of a clean-up says so in the state
// directory, which is a FIFO here.
func init() {
	if len(os.Args) != 3 || os.Args[1] != CleanupCommand {
		return
	}
	clean := func(_ context.Context, stateDir string) error {
		return os.WriteFile(stateDir, []byte("cleaned up"), 0)
	}
	if err := (Binary{Cleanup: clean}).Run(context.Background(), os.Args[1:], nil, os.Stdout); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func TestCleanupGoesOnBehindADeleteThatHasNoTime(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "state")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	slow := CleanupFunc(func(ctx context.Context, _ string) error {
		<-ctx.Done() // a VMM that takes its time to end
		return context.Cause(ctx)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var warnings bytes.Buffer
	if err := slow.inTime(&warnings)(ctx, fifo); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(warnings.String(), "in the background") {
		t.Errorf("the engine hears %q", &warnings)
	}
	if said, err := os.ReadFile(fifo); err != nil || string(said) != "cleaned up" {
		t.Errorf("the process behind said %q, error %v", said, err)
	}
	reapChild(t)
}

// reapChild waits for the only child of this process, which nobody else does: the
// delete action is gone long before it ends.
func reapChild(t *testing.T) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := unix.Wait4(-1, nil, 0, nil)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("wait for the process behind: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the process behind does not end")
	}
}

func TestCleanupThatFailsIsNotPutOff(t *testing.T) {
	busy := errors.New("still mounted")
	failing := CleanupFunc(func(context.Context, string) error { return busy })
	if err := failing.inTime(t.Output())(t.Context(), "/nowhere"); !errors.Is(err, busy) {
		t.Errorf("error %v", err)
	}
}

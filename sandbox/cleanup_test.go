// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/ledger"
)

// A shim that is killed between the start of a process and its entry in the ledger leaves a process that no ledger
// names. It is in the pod's cgroup, by which it is found.
func TestCleanupEndsAProcessThatNobodyWroteDown(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("cgroups need root")
	}
	path := "/katapod-test-cleanup-" + strconv.Itoa(os.Getpid())
	group, err := hostcgroup.Create(path, hostcgroup.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	stray := exec.Command("sleep", "1000")
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stray.Process.Kill() }() // it ended, when all went well
	if err := group.Add(stray.Process.Pid); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "pod")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(ledgerIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(book.Acquire(cgroupOf(path)), book.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Cleanup(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the state directory: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = stray.Wait()
	}()
	await(t, ended, "the end of a process that nobody wrote down")
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended by itself: %v", err)
	}
}

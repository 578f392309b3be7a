// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/timeouts"
)

// envHalfDead makes this test's binary a process whose first thread has ended
// while another one still holds its files.
const envHalfDead = "KATAPOD_TEST_HALF_DEAD"

func init() {
	if os.Getenv(envHalfDead) == "" {
		return
	}
	runtime.LockOSThread() // main is the first thread
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
}

// TestEndShimWaitsForEveryThread is a crash of the shim that is seen too early:
// its first thread is a zombie, without a command line, while another has not let
// go of the ledger's lock yet.
func TestEndShimWaitsForEveryThread(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envHalfDead+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitZombie(t, cmd.Process.Pid)
	began, ended := time.Now(), make(chan error, 1)
	go func() { ended <- endShim(cmd.Process.Pid, "pod") }()
	select {
	case err := <-ended:
		t.Fatalf("endShim returned %v while a thread of the process was alive", err)
	case <-time.After(50 * time.Millisecond): // it waits; an early return would have come by now
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	err = leaktest.Receive(t, ended)
	if err != nil && time.Since(began) > timeouts.ShimKill { // the machine stood still for as long as endShim waits
		err = endShim(cmd.Process.Pid, "pod")
	}
	if err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}

func awaitZombie(t *testing.T, pid int) {
	t.Helper()
	// Of the end of a thread that is not the last the kernel tells nobody.
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stat, []byte(") Z ")) {
			return
		}
	}
	t.Fatal("the first thread did not end")
}

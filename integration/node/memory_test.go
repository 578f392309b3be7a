// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"os/exec"
	"testing"
)

// A process that ends between the listing and the look at its memory is no error, reaped or not.
func TestMemoryOfEndedProcesses(t *testing.T) {
	reaped := exec.Command("true")
	if err := reaped.Run(); err != nil {
		t.Fatal(err)
	}
	zombie := exec.Command("sh", "-c", "echo; exec true")
	out, err := zombie.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = zombie.Wait() })
	for buf := make([]byte, 8); err == nil; {
		_, err = out.Read(buf) // until its end: its files are closed
	}
	m, err := MemoryOf([]Process{
		{PID: reaped.Process.Pid, Args: []string{"true"}},
		{PID: zombie.Process.Pid, Args: []string{"true"}},
		{PID: os.Getpid(), Args: []string{"containerd-shim-x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.Shim <= 0 || m.VMM != 0 || m.Helpers != 0 {
		t.Errorf("the memory is %+v, want that of one shim", m)
	}
}

// SPDX-License-Identifier: Apache-2.0

package task

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"golang.org/x/sys/unix"
)

// An exec that does not start gives its output up: containerd's client waits for
// that before it deletes the exec, and Docker with it, for ever.
func TestOutputOfAnExecThatDoesNotStartEnds(t *testing.T) {
	b := newBench(t)
	b.mustCreate(t, "c", nil)
	b.mustStart(t, "c", "")
	out := filepath.Join(b.dir, "out")
	if err := unix.Mkfifo(out, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(out, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	b.mustExec(t, &taskapi.ExecProcessRequest{ID: "c", ExecID: "e", Stdout: out})
	b.vm().container("c").exec("e").fail()
	if _, err := b.Start(t.Context(), &taskapi.StartRequest{ID: "c", ExecID: "e"}); err == nil {
		t.Fatal("the exec started")
	}
	_ = reader.SetReadDeadline(time.Now().Add(30 * time.Second))
	if text, err := io.ReadAll(reader); err != nil || len(text) > 0 {
		t.Errorf("the output does not end: %q, %v", text, err)
	}
	if _, err := b.Delete(t.Context(), &taskapi.DeleteRequest{ID: "c", ExecID: "e"}); err != nil {
		t.Error(err)
	}
}

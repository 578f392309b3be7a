// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestPauseContainer(t *testing.T) {
	f := startedFixture(t)
	c, err := f.pod.CreatePause("pause", "/bundle")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	for _, ignored := range []uint32{0, 17, 28} {
		if err := c.Kill(background, "", ignored, false); err != nil || c.Status() != StatusRunning {
			t.Errorf("signal %d: %v, %s", ignored, err, c.Status())
		}
	}
	_, err = c.Exec(background, ExecOptions{ID: "x", Process: &specs.Process{}})
	wantIs(t, "exec", err, errdefs.ErrNotImplemented)
	wantIs(t, "pause", c.Pause(background), errdefs.ErrNotImplemented)
	if _, err := c.Stats(background); err != nil {
		t.Error(err)
	}
	if pids, err := c.Pids(background); err != nil || len(pids) != 1 {
		t.Errorf("pids %v, %v", pids, err)
	}
	if err := c.Kill(background, "", 9, true); err != nil {
		t.Fatal(err)
	}
	if code := wait(t, c.Init()); code != 137 {
		t.Errorf("exit code %d", code)
	}
	if err := c.Delete(background); err != nil {
		t.Fatal(err)
	}
	if f.agent.called("CreateContainer") >= 0 || f.agent.called("RemoveContainer") >= 0 {
		t.Error("the guest heard of the pause container")
	}
}

// SPDX-License-Identifier: Apache-2.0

package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A process that joins a container has the container's score unless it has its own.
func TestOOMScoreOfAnExec(t *testing.T) {
	own, containers := 650, 640
	for _, c := range []struct {
		name            string
		own, containers *int
		want            string
	}{
		{"its own", &own, &containers, "650"},
		{"the container's", nil, &containers, "640"},
		{"none", nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("sleep", "1000")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // it was killed
			}()
			path := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "oom_score_adj")
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			of := &Container{config: Config{Spec: &specs.Spec{Process: &specs.Process{OOMScoreAdj: c.containers}}}}
			if err := setOOMScore(cmd.Process.Pid, of.oomScore(&specs.Process{OOMScoreAdj: c.own})); err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				c.want = strings.TrimSpace(string(before))
			}
			if after, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(after)) != c.want {
				t.Errorf("the score is %q, want %s, error %v", after, c.want, err)
			}
		})
	}
}

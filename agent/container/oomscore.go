// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// oomScore is the place in the OOM killer's order of a process that joins the
// container: its own, or else that of the container. nil means the agent's.
func (c *Container) oomScore(spec *specs.Process) *int {
	if spec.OOMScoreAdj == nil {
		return c.config.Spec.Process.OOMScoreAdj
	}
	return spec.OOMScoreAdj
}

// setOOMScore gives a started process its place in the OOM killer's order. crun
// leaves it out for exec'd processes. One that has ended already needs none.
func setOOMScore(pid int, score *int) error {
	if score == nil {
		return nil
	}
	path := filepath.Join("/proc", strconv.Itoa(pid), "oom_score_adj")
	err := os.WriteFile(path, []byte(strconv.Itoa(*score)), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("set the oom_score_adj of a process: %w", err)
	}
	return nil
}

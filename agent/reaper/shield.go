// SPDX-License-Identifier: Apache-2.0

package reaper

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

const (
	oomScoreAdj = "/proc/self/oom_score_adj"
	neutral     = "0"
)

// shield is this process's protection from the OOM killer. A child inherits it,
// and crun passes it on to containers (exec even when the process asks for
// another value), whose processes could then never be killed. So it is laid
// down for the moment of a start.
type shield struct {
	mu    *sync.Mutex
	value string
}

func newShield() (shield, error) {
	data, err := os.ReadFile(oomScoreAdj)
	if err != nil {
		return shield{}, fmt.Errorf("read how this process is protected from the OOM killer: %w", err)
	}
	return shield{mu: &sync.Mutex{}, value: strings.TrimSpace(string(data))}, nil
}

// without calls start while the shield is down. Starts are one at a time here:
// a start takes about a millisecond.
func (s shield) without(start func() error) error {
	if s.value == neutral {
		return start()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.WriteFile(oomScoreAdj, []byte(neutral), 0); err != nil {
		return fmt.Errorf("start a child without protection from the OOM killer: %w", err)
	}
	err := start()
	if up := os.WriteFile(oomScoreAdj, []byte(s.value), 0); up != nil {
		err = errors.Join(err, fmt.Errorf("protect the agent from the OOM killer again: %w", up))
	}
	return err
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/katapod/katapod/integration/node"
)

// Names of what is counted.
const (
	containerdFiles       = "containerd: file descriptors"
	containerdRoutines    = "containerd: goroutines"
	containerdHeap        = "containerd: heap"
	containerdDirectories = "containerd: directories"
	shimFiles             = "shim that stays: file descriptors"
	shimRoutines          = "shim that stays: goroutines"
	shimThreads           = "shim that stays: threads"
	shimMemory            = "shim that stays: anonymous memory"
	guestFiles            = "guest that stays: open files"
	guestTasks            = "guest that stays: processes and threads"
	guestCgroups          = "guest that stays: cgroups"
	guestMemory           = "guest that stays: memory used"
)

// leftKinds are what a pod could leave behind on the node.
func leftKinds() []string { return node.InventoryKinds() }

func leftName(kind string) string { return "left on the node: " + kind }

// point is a sample: how many pods had gone, and how much there was.
type point struct {
	pods  int
	value float64
}

// samples are points by the name of what was counted.
type samples map[string][]point

func (s samples) add(pods int, values map[string]float64) {
	for name, v := range values {
		s[name] = append(s[name], point{pods, v})
	}
}

// sample counts everything, once what ends behind the removal of a pod has ended.
func (s *soak) sample(ctx context.Context) (map[string]float64, error) {
	found := map[string]float64{}
	left, err := s.node.WaitEmpty(ctx, s.empty)
	if err != nil {
		return nil, err
	}
	for _, kind := range leftKinds() {
		found[leftName(kind)] = float64(len(left[kind]))
	}
	if len(left) > 0 {
		s.progress.Fact("after %d pods there is left: %s", s.done, strings.ReplaceAll(left.String(), "\n", "; "))
	}
	err = errors.Join(s.sampleContainerd(ctx, found), s.sampleShim(ctx, found))
	if s.isVM() { // or the kernel is the whole machine's
		err = errors.Join(err, s.sampleGuest(ctx, found))
	}
	return found, err
}

// findShim is the one shim there is.
func (s *soak) findShim() (int, error) {
	all, err := s.node.PodProcesses()
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		if strings.HasPrefix(p.Name(), "containerd-shim") && s.isOf(p) {
			return p.PID, nil
		}
	}
	return 0, fmt.Errorf("the shim of pod %s is not among the node's processes %v", s.stays.ID, all)
}

// isOf tells whether a shim is that of the pod that stays: the command line has its id, and those of pods before it
// may still be ending.
func (s *soak) isOf(p node.Process) bool {
	return strings.Contains(strings.Join(p.Args, " "), s.stays.ID)
}

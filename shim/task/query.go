// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"fmt"
	"os"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/log"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/shim/metrics"
)

// Pids lists the host's processes that stand for a container.
func (s *Service) Pids(ctx context.Context, r *taskapi.PidsRequest) (*taskapi.PidsResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	pids, err := c.guest.Pids(ctx)
	if err != nil {
		return nil, err
	}
	resp := &taskapi.PidsResponse{}
	for _, pid := range pids {
		resp.Processes = append(resp.Processes, &task.ProcessInfo{Pid: uint32(pid)})
	}
	return resp, nil
}

// Stats are the container's counters in the guest, in the type of the host's
// cgroup mode, which is the one that engines on this host look for. Those of a
// container that has ended are the newest that were asked for, with its
// out-of-memory kills: engines look for these after the exit.
func (s *Service) Stats(ctx context.Context, r *taskapi.StatsRequest) (*taskapi.StatsResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if c.init().now().status != task.Status_STOPPED {
		counters, err := c.guest.Stats(ctx)
		if err != nil {
			return nil, err
		}
		c.remember(counters)
	}
	counters, kills := c.remembered()
	stats, err := metrics.Any(metrics.HostMode(), counters, kills)
	if err != nil {
		return nil, fmt.Errorf("statistics of container %s: %w", c.id, err)
	}
	return &taskapi.StatsResponse{Stats: stats}, nil
}

func (c *container) remember(counters *agentpb.StatsContainerResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counters = counters
}

func (c *container) remembered() (counters *agentpb.StatsContainerResponse, oomKills uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counters, c.oomKills
}

// Connect tells containerd whom it talks to.
func (s *Service) Connect(_ context.Context, r *taskapi.ConnectRequest) (*taskapi.ConnectResponse, error) {
	resp := &taskapi.ConnectResponse{ShimPid: uint32(os.Getpid()), TaskPid: s.Pod.PID()}
	if c, err := s.container(r.ID); err == nil {
		resp.TaskPid = c.init().now().pid
	}
	return resp, nil
}

// Shutdown ends the shim once nothing is left for it to do. Engines call it
// after each container; a pod whose containers are not all gone lives on, and
// one that the Sandbox API made ends by that API.
func (s *Service) Shutdown(ctx context.Context, _ *taskapi.ShutdownRequest) (*empty, error) {
	s.mu.Lock()
	busy := len(s.containers) > 0 || len(s.reserved) > 0
	s.mu.Unlock()
	if busy || s.foreignPod() != "" {
		return &empty{}, nil
	}
	s.endPod(ctx)
	log.G(ctx).Info("the last container is gone; the shim leaves")
	s.Setup.Shutdown()
	return &empty{}, nil
}

// foreignPod is the id of a pod that the Sandbox API made, "" when there is none.
func (s *Service) foreignPod() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began {
		return ""
	}
	return s.Pod.ID()
}

// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/katapod/katapod/agent/stats"
	"github.com/katapod/katapod/protocols/agentpb"
)

// StatsContainer returns the numbers of a container's cgroup and of the pod's
// network, which all its containers share.
func (s *Service) StatsContainer(_ context.Context, r *agentpb.StatsContainerRequest) (*agentpb.StatsContainerResponse, error) {
	c, err := s.containers.Get(r.ContainerId)
	if err != nil {
		return nil, err
	}
	numbers, err := s.numbers.Cgroup(c.Cgroup())
	if err != nil {
		return nil, err
	}
	network, err := s.Network.Stats()
	if err != nil {
		return nil, err
	}
	return &agentpb.StatsContainerResponse{CgroupStats: numbers, NetworkStats: network}, nil
}

// GetMetrics returns the guest's numbers in Prometheus's text format.
func (s *Service) GetMetrics(context.Context, *agentpb.GetMetricsRequest) (*agentpb.Metrics, error) {
	text, err := stats.Metrics("/proc", "/sys")
	if err != nil {
		return nil, err
	}
	return &agentpb.Metrics{Metrics: text}, nil
}

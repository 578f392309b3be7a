// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"sync"

	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/agent/boot"
	"github.com/katapod/katapod/agent/container"
	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/agent/guestfs"
	"github.com/katapod/katapod/agent/guestnet"
	"github.com/katapod/katapod/agent/guestos"
	"github.com/katapod/katapod/agent/oom"
	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/agent/stats"
	"github.com/katapod/katapod/agent/storage"
	"github.com/katapod/katapod/agent/streams"
	"github.com/katapod/katapod/protocols/agentpb"
)

// Paths are places in the guest.
type Paths struct {
	// Run is the directory of bundles, shares and the pod's own mounts.
	Run string
	// Namespaces holds the pod's namespaces.
	Namespaces string
	// Cgroups is the mount of cgroup2, and CgroupParent what is below it the
	// parent of all containers.
	Cgroups, CgroupParent string
	// ResolvConf is the guest's resolver configuration.
	ResolvConf string
}

// DefaultPaths returns the guest's places; Run is part of the wire contract.
func DefaultPaths() Paths {
	return Paths{
		Run:          "/run/kata-containers",
		Namespaces:   "/run/sandbox-ns",
		Cgroups:      "/sys/fs/cgroup",
		CgroupParent: "/katapod",
		ResolvConf:   "/run/resolv.conf",
	}
}

// Parts are what the service translates for.
type Parts struct {
	Version    string
	Init       bool
	Paths      Paths
	Parameters boot.Parameters
	Reaper     *reaper.Reaper
	Runtime    container.Runtime
	Streams    *streams.Registry
	Storage    *storage.Manager
	Devices    *device.Finder
	OOM        *oom.Watcher
	Network    *guestnet.Network
	Files      *guestfs.Copier
	System     guestos.System
	// AfterPod, if set, runs beside the calls once there is a pod.
	AfterPod func()
}

// Service is the agent as the host sees it. It is safe for concurrent use.
type Service struct {
	Parts
	containers *container.Store
	numbers    *stats.Reader

	// mu guards the pointer; what it points to has a mutex of its own.
	mu  sync.Mutex
	pod *pod
}

// New returns a service without a pod.
func New(parts Parts) *Service {
	return &Service{Parts: parts, containers: container.NewStore(), numbers: stats.NewReader(parts.System.Sys)}
}

// Register makes the service answer on a server that has the Interceptor.
func (s *Service) Register(server *ttrpc.Server) {
	agentpb.RegisterAgentServiceService(server, s)
	agentpb.RegisterHealthService(server, s)
}

// Check answers as soon as the agent serves.
func (s *Service) Check(context.Context, *agentpb.CheckRequest) (*agentpb.HealthCheckResponse, error) {
	return &agentpb.HealthCheckResponse{Status: agentpb.HealthCheckResponse_SERVING}, nil
}

// Version returns the version of the agent and of the contract.
func (s *Service) Version(context.Context, *agentpb.CheckRequest) (*agentpb.VersionCheckResponse, error) {
	return &agentpb.VersionCheckResponse{GrpcVersion: contractVersion, AgentVersion: s.Parts.Version}, nil
}

// contractVersion is the version that grpc.Health reports for the contract; no
// peer looks at it.
const contractVersion = "0.0.1"

// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/shim/wire"
)

// serviceName is the service's name on the wire.
const serviceName = "containerd.runtime.sandbox.v1.Sandbox"

// methods is the whole service.
func (s *Service) methods() map[string]ttrpc.Method {
	return map[string]ttrpc.Method{
		"CreateSandbox":   wire.Unary(s.CreateSandbox),
		"StartSandbox":    wire.Unary(s.StartSandbox),
		"Platform":        wire.Unary(s.Platform),
		"StopSandbox":     wire.Unary(s.StopSandbox),
		"WaitSandbox":     wire.Unary(s.WaitSandbox),
		"SandboxStatus":   wire.Unary(s.SandboxStatus),
		"PingSandbox":     wire.Unary(s.PingSandbox),
		"ShutdownSandbox": wire.Unary(s.ShutdownSandbox),
		"SandboxMetrics":  wire.Unary(s.SandboxMetrics),
		"UpdateSandbox":   wire.Unary(s.UpdateSandbox),
	}
}

// RegisterTTRPC registers the service.
func (s *Service) RegisterTTRPC(server *ttrpc.Server) error {
	server.RegisterService(serviceName, &ttrpc.ServiceDesc{Methods: s.methods()})
	return nil
}

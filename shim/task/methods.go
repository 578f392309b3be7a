// SPDX-License-Identifier: Apache-2.0

package task

import (
	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/shim/wire"
)

// Names of the service on the wire.
const (
	serviceV2 = "containerd.task.v2.Task"
	serviceV3 = "containerd.task.v3.Task"
)

// methods is the whole service.
func (s *Service) methods() map[string]ttrpc.Method {
	return map[string]ttrpc.Method{
		"State":      wire.Unary(s.State),
		"Create":     wire.Unary(s.Create),
		"Start":      wire.Unary(s.Start),
		"Delete":     wire.Unary(s.Delete),
		"Pids":       wire.Unary(s.Pids),
		"Pause":      wire.Unary(s.Pause),
		"Resume":     wire.Unary(s.Resume),
		"Checkpoint": wire.Unary(s.Checkpoint),
		"Kill":       wire.Unary(s.Kill),
		"Exec":       wire.Unary(s.Exec),
		"ResizePty":  wire.Unary(s.ResizePty),
		"CloseIO":    wire.Unary(s.CloseIO),
		"Update":     wire.Unary(s.Update),
		"Wait":       wire.Unary(s.Wait),
		"Stats":      wire.Unary(s.Stats),
		"Connect":    wire.Unary(s.Connect),
		"Shutdown":   wire.Unary(s.Shutdown),
	}
}

// RegisterTTRPC registers the service in both versions; pkg/shim calls it.
func (s *Service) RegisterTTRPC(server *ttrpc.Server) error {
	for _, name := range []string{serviceV2, serviceV3} {
		server.RegisterService(name, &ttrpc.ServiceDesc{Methods: s.methods()})
	}
	return nil
}

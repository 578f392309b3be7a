// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"

	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
)

// Names of the service on the wire.
const (
	serviceV2 = "containerd.task.v2.Task"
	serviceV3 = "containerd.task.v3.Task"
)

// unary makes a wire method of a typed one. It is the only place where errors
// become gRPC codes.
func unary[Req, Resp any](fn func(context.Context, *Req) (*Resp, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		req := new(Req)
		if err := unmarshal(req); err != nil {
			return nil, err
		}
		resp, err := fn(ctx, req)
		if err != nil {
			return nil, errgrpc.ToGRPC(err)
		}
		return resp, nil
	}
}

// methods is the whole service.
func (s *Service) methods() map[string]ttrpc.Method {
	return map[string]ttrpc.Method{
		"State":      unary(s.State),
		"Create":     unary(s.Create),
		"Start":      unary(s.Start),
		"Delete":     unary(s.Delete),
		"Pids":       unary(s.Pids),
		"Pause":      unary(s.Pause),
		"Resume":     unary(s.Resume),
		"Checkpoint": unary(s.Checkpoint),
		"Kill":       unary(s.Kill),
		"Exec":       unary(s.Exec),
		"ResizePty":  unary(s.ResizePty),
		"CloseIO":    unary(s.CloseIO),
		"Update":     unary(s.Update),
		"Wait":       unary(s.Wait),
		"Stats":      unary(s.Stats),
		"Connect":    unary(s.Connect),
		"Shutdown":   unary(s.Shutdown),
	}
}

// RegisterTTRPC registers the service in both versions; pkg/shim calls it.
func (s *Service) RegisterTTRPC(server *ttrpc.Server) error {
	for _, name := range []string{serviceV2, serviceV3} {
		server.RegisterService(name, &ttrpc.ServiceDesc{Methods: s.methods()})
	}
	return nil
}

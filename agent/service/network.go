// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/agent/guestnet"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/typespb"
	"github.com/katapod/katapod/protocols/unread"
)

// UpdateInterface sets a link up and returns the interface as it was asked for.
func (s *Service) UpdateInterface(ctx context.Context, r *agentpb.UpdateInterfaceRequest) (*typespb.Interface, error) {
	if r.Interface == nil {
		return nil, fmt.Errorf("the request has no interface: %w", errdefs.ErrInvalidArgument)
	}
	if err := s.Network.UpdateInterface(ctx, r.Interface); err != nil {
		return nil, err
	}
	return r.Interface, nil
}

// UpdateRoutes adds routes and returns all there are, if anybody reads that.
func (s *Service) UpdateRoutes(ctx context.Context, r *agentpb.UpdateRoutesRequest) (*agentpb.Routes, error) {
	if err := s.Network.UpdateRoutes(r.GetRoutes().GetRoutes()); err != nil {
		return nil, err
	}
	if unread.Marked(ctx) {
		return &agentpb.Routes{}, nil
	}
	return s.routes()
}

// ListRoutes returns the routes of the main table.
func (s *Service) ListRoutes(context.Context, *agentpb.ListRoutesRequest) (*agentpb.Routes, error) {
	return s.routes()
}

func (s *Service) routes() (*agentpb.Routes, error) {
	list, err := s.Network.ListRoutes()
	if err != nil {
		return nil, err
	}
	return &agentpb.Routes{Routes: list}, nil
}

// ListInterfaces returns every link but the loopback device.
func (s *Service) ListInterfaces(context.Context, *agentpb.ListInterfacesRequest) (*agentpb.Interfaces, error) {
	list, err := s.Network.ListInterfaces()
	if err != nil {
		return nil, err
	}
	return &agentpb.Interfaces{Interfaces: list}, nil
}

// AddARPNeighbors adds entries to the neighbour table.
func (s *Service) AddARPNeighbors(_ context.Context, r *agentpb.AddARPNeighborsRequest) (*emptypb.Empty, error) {
	if err := s.Network.AddNeighbors(r.GetNeighbors().GetARPNeighbors()); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// GetIPTables returns the packet filter's rules.
func (s *Service) GetIPTables(ctx context.Context, r *agentpb.GetIPTablesRequest) (*agentpb.GetIPTablesResponse, error) {
	var data []byte
	err := s.Network.Run(func() (err error) {
		data, err = guestnet.SaveRules(ctx, s.Reaper, r.IsIpv6)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &agentpb.GetIPTablesResponse{Data: data}, nil
}

// SetIPTables replaces the packet filter's rules.
func (s *Service) SetIPTables(ctx context.Context, r *agentpb.SetIPTablesRequest) (*agentpb.SetIPTablesResponse, error) {
	var data []byte
	err := s.Network.Run(func() (err error) {
		data, err = guestnet.RestoreRules(ctx, s.Reaper, r.IsIpv6, r.Data)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &agentpb.SetIPTablesResponse{Data: data}, nil
}

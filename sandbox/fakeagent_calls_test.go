// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/ocijson"
	"github.com/katapod/katapod/protocols/stdio"
	"github.com/katapod/katapod/protocols/typespb"
	"github.com/katapod/katapod/protocols/unread"
)

// The calls.

func empty() (*emptypb.Empty, error) { return &emptypb.Empty{}, nil }

func (a *fakeAgent) CreateSandbox(context.Context, *agentpb.CreateSandboxRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) DestroySandbox(context.Context, *agentpb.DestroySandboxRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) GetGuestDetails(context.Context, *agentpb.GuestDetailsRequest) (*agentpb.GuestDetailsResponse, error) {
	return &agentpb.GuestDetailsResponse{AgentDetails: &agentpb.AgentDetails{Version: "1", ExtraFeatures: a.features}, MemBlockSizeBytes: a.memoryBlock}, nil
}
func (a *fakeAgent) OnlineCPUMem(context.Context, *agentpb.OnlineCPUMemRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) SetGuestDateTime(context.Context, *agentpb.SetGuestDateTimeRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) ReseedRandomDev(context.Context, *agentpb.ReseedRandomDevRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) UpdateInterface(_ context.Context, r *agentpb.UpdateInterfaceRequest) (*typespb.Interface, error) {
	return r.Interface, nil
}
func (a *fakeAgent) UpdateRoutes(ctx context.Context, r *agentpb.UpdateRoutesRequest) (*agentpb.Routes, error) {
	if !unread.Marked(ctx) {
		return nil, errors.New("the host does not read the answer, and does not say so")
	}
	return r.Routes, nil
}
func (a *fakeAgent) AddARPNeighbors(context.Context, *agentpb.AddARPNeighborsRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) CopyFile(context.Context, *agentpb.CopyFileRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) PauseContainer(context.Context, *agentpb.PauseContainerRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) ResumeContainer(context.Context, *agentpb.ResumeContainerRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) UpdateContainer(context.Context, *agentpb.UpdateContainerRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) TtyWinResize(context.Context, *agentpb.TtyWinResizeRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) StatsContainer(context.Context, *agentpb.StatsContainerRequest) (*agentpb.StatsContainerResponse, error) {
	return &agentpb.StatsContainerResponse{CgroupStats: &agentpb.CgroupStats{PidsStats: &agentpb.PidsStats{Current: 3}}}, nil
}

func (a *fakeAgent) CreateContainer(_ context.Context, r *agentpb.CreateContainerRequest) (*emptypb.Empty, error) {
	args := r.GetOCI().GetProcess().GetArgs()
	if len(r.OciJson) > 0 {
		spec, err := ocijson.Decode[specs.Spec](r.OciJson)
		if err != nil {
			return nil, err
		}
		args = spec.Process.Args
	}
	a.addProc(r.ContainerId, r.ContainerId, &fakeProc{
		args: args, stdin: stdio.Token(r.StdinPort), stdout: stdio.Token(r.StdoutPort), stderr: stdio.Token(r.StderrPort),
	})
	return empty()
}

func (a *fakeAgent) StartContainer(_ context.Context, r *agentpb.StartContainerRequest) (*emptypb.Empty, error) {
	p, err := a.proc(r.ContainerId, "")
	if err != nil {
		return nil, err
	}
	go a.run(p)
	return empty()
}

func (a *fakeAgent) ExecProcess(_ context.Context, r *agentpb.ExecProcessRequest) (*emptypb.Empty, error) {
	p := &fakeProc{args: r.Process.Args, stdin: stdio.Token(r.StdinPort), stdout: stdio.Token(r.StdoutPort), stderr: stdio.Token(r.StderrPort)}
	a.addProc(r.ContainerId, r.ExecId, p)
	go a.run(p)
	return empty()
}

func (a *fakeAgent) SignalProcess(_ context.Context, r *agentpb.SignalProcessRequest) (*emptypb.Empty, error) {
	p, err := a.proc(r.ContainerId, r.ExecId)
	if err != nil {
		return nil, err
	}
	p.signals <- r.Signal
	return empty()
}

func (a *fakeAgent) WaitProcess(_ context.Context, r *agentpb.WaitProcessRequest) (*agentpb.WaitProcessResponse, error) {
	p, err := a.proc(r.ContainerId, r.ExecId)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.done:
		return &agentpb.WaitProcessResponse{Status: p.code}, nil
	case <-a.ended:
		return nil, io.ErrUnexpectedEOF
	}
}

func (a *fakeAgent) RemoveContainer(_ context.Context, r *agentpb.RemoveContainerRequest) (*emptypb.Empty, error) {
	if _, err := a.proc(r.ContainerId, ""); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.procs, r.ContainerId+"/"+r.ContainerId)
	return empty()
}

func (a *fakeAgent) GetOOMEvent(context.Context, *agentpb.GetOOMEventRequest) (*agentpb.OOMEvent, error) {
	select {
	case id := <-a.oom:
		return &agentpb.OOMEvent{ContainerId: id}, nil
	case <-a.ended:
		return nil, io.ErrUnexpectedEOF
	}
}

func (a *fakeAgent) ReadStdout(_ context.Context, r *agentpb.ReadStreamRequest) (*agentpb.ReadStreamResponse, error) {
	p, err := a.proc(r.ContainerId, r.ExecId)
	if err != nil {
		return nil, err
	}
	if len(p.rest) == 0 {
		select {
		case p.rest = <-p.output:
		case <-a.ended:
			return nil, io.ErrUnexpectedEOF
		}
	}
	chunk := p.rest[:min(len(p.rest), int(r.Len))]
	p.rest = p.rest[len(chunk):]
	return &agentpb.ReadStreamResponse{Data: chunk}, nil
}

func (a *fakeAgent) WriteStdin(_ context.Context, r *agentpb.WriteStreamRequest) (*agentpb.WriteStreamResponse, error) {
	p, err := a.proc(r.ContainerId, r.ExecId)
	if err != nil {
		return nil, err
	}
	p.input <- r.Data
	return &agentpb.WriteStreamResponse{Len: uint32(len(r.Data))}, nil
}

func (a *fakeAgent) CloseStdin(_ context.Context, r *agentpb.CloseStdinRequest) (*emptypb.Empty, error) {
	p, err := a.proc(r.ContainerId, r.ExecId)
	if err != nil {
		return nil, err
	}
	close(p.input)
	return empty()
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/stdio"
	"github.com/katapod/katapod/protocols/typespb"
)

// fakeAgent is an agent whose processes are goroutines. What a process does is
// its argument vector: "exit N", "cat", "print TEXT", "sleep".
type fakeAgent struct {
	agentpb.AgentServiceService // calls that no test expects panic

	features []string

	mu      sync.Mutex
	server  *ttrpc.Server
	calls   []string
	seen    map[string]proto.Message
	fail    map[string]error
	hang    map[string]chan struct{} // closed when the call has arrived
	procs   map[string]*fakeProc
	arrived map[stdio.Token]chan net.Conn
	oom     chan string
	ended   chan struct{}
	endOnce sync.Once
}

type fakeProc struct {
	args                  []string
	stdin, stdout, stderr stdio.Token
	input                 chan []byte
	output                chan []byte
	rest                  []byte // of a chunk that was read in part
	signals               chan uint32
	done                  chan struct{}
	code                  int32
}

func newFakeAgent() *fakeAgent {
	return &fakeAgent{
		features: []string{stdio.Feature}, seen: map[string]proto.Message{}, fail: map[string]error{},
		hang: map[string]chan struct{}{}, procs: map[string]*fakeProc{},
		arrived: map[stdio.Token]chan net.Conn{}, oom: make(chan string), ended: make(chan struct{}),
	}
}

// serve answers one connection until it breaks, which ends the agent.
func (a *fakeAgent) serve(conn net.Conn) {
	server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(a.intercept))
	if err != nil {
		panic(err)
	}
	agentpb.RegisterAgentServiceService(server, a)
	agentpb.RegisterHealthService(server, fakeHealth{})
	a.mu.Lock()
	a.server = server
	a.mu.Unlock()
	watched := &watchedConn{Conn: conn, broken: func() { a.endOnce.Do(func() { close(a.ended) }) }}
	go func() {
		_ = server.Serve(context.Background(), &oneListener{conn: watched, ended: a.ended})
		_ = server.Close()
	}()
}

// intercept counts calls and makes them fail or hang as the test wants.
func (a *fakeAgent) intercept(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
	name := info.FullMethod[len("/grpc."):]
	name = name[1+slices.Index([]byte(name), '/'):]
	a.mu.Lock()
	a.calls = append(a.calls, name)
	err, arrived := a.fail[name], a.hang[name]
	delete(a.hang, name)
	a.mu.Unlock()
	if arrived != nil {
		close(arrived)
		<-a.ended
		return nil, errors.New("hung")
	}
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	answer, err := method(ctx, func(v any) error {
		err := unmarshal(v)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seen[name] = v.(proto.Message)
		return err
	})
	if err != nil {
		err = errgrpc.ToGRPC(err)
	}
	return answer, err
}

func (a *fakeAgent) called(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Index(a.calls, name)
}

// hangAt makes the next call of that name hang and tells when it arrived.
func (a *fakeAgent) hangAt(name string) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hang[name] = make(chan struct{})
	return a.hang[name]
}

func (a *fakeAgent) failAt(name string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail[name] = err
}

// lastCall returns what the last call of that name asked for.
func lastCall[T proto.Message](a *fakeAgent, name string) T {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, _ := a.seen[name].(T)
	return m
}

// stream returns where the stream of a token arrives.
func (a *fakeAgent) stream(t stdio.Token) chan net.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.arrived[t] == nil {
		a.arrived[t] = make(chan net.Conn, 1)
	}
	return a.arrived[t]
}

func (a *fakeAgent) takeStream(conn net.Conn) {
	token, err := stdio.ReadToken(conn)
	if err != nil {
		_ = conn.Close()
		return
	}
	a.stream(token) <- conn
}

func (a *fakeAgent) proc(cid, exec string) (*fakeProc, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if exec == "" {
		exec = cid
	}
	if p, ok := a.procs[cid+"/"+exec]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("process %s of %s: %w", exec, cid, errdefs.ErrNotFound)
}

func (a *fakeAgent) addProc(cid, exec string, p *fakeProc) {
	p.signals, p.done = make(chan uint32, 8), make(chan struct{})
	p.input, p.output = make(chan []byte, 8), make(chan []byte, 8)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.procs[cid+"/"+exec] = p
}

// run is the process. The channels stand for pipes of the guest.
func (a *fakeAgent) run(p *fakeProc) {
	if p.stdin != 0 {
		go a.pump(p)
	}
	if p.stdout != 0 {
		go a.drain(p)
	}
	code := p.act()
	close(p.output)
	p.code = code
	close(p.done)
}

func (p *fakeProc) act() int32 {
	switch p.args[0] {
	case "exit":
		n, _ := strconv.Atoi(p.args[1])
		return int32(n)
	case "print":
		p.output <- []byte(p.args[1])
		return 0
	case "cat":
		for {
			select {
			case chunk, more := <-p.input:
				if !more {
					return 0
				}
				p.output <- chunk
			case s := <-p.signals:
				return 128 + int32(s)
			}
		}
	}
	return 128 + int32(<-p.signals)
}

// pump reads the stdin stream.
func (a *fakeAgent) pump(p *fakeProc) {
	defer close(p.input)
	var conn net.Conn
	select {
	case conn = <-a.stream(p.stdin):
	case <-a.ended:
		return
	}
	for {
		chunk := make([]byte, 4096)
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		select {
		case p.input <- chunk[:n]:
		case <-p.done:
			return
		}
	}
}

// drain writes the stdout stream.
func (a *fakeAgent) drain(p *fakeProc) {
	select {
	case conn := <-a.stream(p.stdout):
		defer conn.Close()
		for chunk := range p.output {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	case <-a.ended:
	}
}

// stop lets processes end that nobody will signal any more.
func (a *fakeAgent) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.procs {
		select {
		case p.signals <- 9:
		default:
		}
	}
}

type fakeHealth struct{}

func (fakeHealth) Check(context.Context, *agentpb.CheckRequest) (*agentpb.HealthCheckResponse, error) {
	return &agentpb.HealthCheckResponse{Status: agentpb.HealthCheckResponse_SERVING}, nil
}

func (fakeHealth) Version(context.Context, *agentpb.CheckRequest) (*agentpb.VersionCheckResponse, error) {
	return &agentpb.VersionCheckResponse{AgentVersion: "1"}, nil
}

// oneListener accepts one connection.
type oneListener struct {
	conn  net.Conn
	ended chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.ended
	return nil, ttrpc.ErrServerClosed
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return &net.UnixAddr{Name: "fake"} }

// watchedConn tells when it broke.
type watchedConn struct {
	net.Conn
	broken func()
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.broken()
	}
	return n, err
}

// The calls.

func empty() (*emptypb.Empty, error) { return &emptypb.Empty{}, nil }

func (a *fakeAgent) CreateSandbox(context.Context, *agentpb.CreateSandboxRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) DestroySandbox(context.Context, *agentpb.DestroySandboxRequest) (*emptypb.Empty, error) {
	return empty()
}
func (a *fakeAgent) GetGuestDetails(context.Context, *agentpb.GuestDetailsRequest) (*agentpb.GuestDetailsResponse, error) {
	return &agentpb.GuestDetailsResponse{AgentDetails: &agentpb.AgentDetails{Version: "1", ExtraFeatures: a.features}}, nil
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
func (a *fakeAgent) UpdateRoutes(_ context.Context, r *agentpb.UpdateRoutesRequest) (*agentpb.Routes, error) {
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
	a.addProc(r.ContainerId, r.ContainerId, &fakeProc{
		args: r.OCI.Process.Args, stdin: stdio.Token(r.StdinPort), stdout: stdio.Token(r.StdoutPort), stderr: stdio.Token(r.StderrPort),
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

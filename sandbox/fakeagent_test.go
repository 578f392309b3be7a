// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/stdio"
)

// fakeAgent is an agent whose processes are goroutines. What a process does is
// its argument vector: "exit N", "cat", "print TEXT", "sleep".
type fakeAgent struct {
	agentpb.AgentServiceService // calls that no test expects panic

	features    []string
	memoryBlock uint64

	mu      sync.Mutex
	server  *ttrpc.Server
	calls   []string
	seen    map[string]proto.Message
	fail    map[string]error
	hang    map[string]chan struct{} // closed when the call has arrived
	stuck   func(name string) bool   // calls that hang; set before the start
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
	if arrived == nil && a.stuck != nil && a.stuck(name) {
		arrived = make(chan struct{})
	}
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

// history lists the calls so far.
func (a *fakeAgent) history() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
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
	case "flood":
		for chunk := make([]byte, 64<<10); ; {
			select {
			case p.output <- chunk:
			case s := <-p.signals:
				return 128 + int32(s)
			}
		}
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

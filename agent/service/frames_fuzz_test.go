// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
)

// errRead ends a call whose request was read, before the service does anything.
var errRead = errors.New("the request was read")

// readOnly is the agent's interceptor around calls that only read their request.
func readOnly(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
	return Interceptor(ctx, func(v any) error {
		if err := unmarshal(v); err != nil {
			return err
		}
		return errRead
	}, info, method)
}

// FuzzFrames has the host say anything on the connection of the agent's service, and
// make any call: all of it is read, no call gets by what reads its request, and the
// server ends with the connection.
func FuzzFrames(f *testing.F) {
	for _, name := range methodNames() {
		request, err := proto.Marshal(&agentpb.CreateContainerRequest{ContainerId: "c", ExecId: "c", OCI: &agentpb.Spec{Version: "1"}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, request, []byte{})
	}
	f.Add("Check", []byte("\xff\xff\xff"), []byte("\xff\xff\xff\xff\x00\x00\x00\x01\x01\x00"))
	f.Add("", []byte{}, []byte("\x00\x00\x00\x00\x00\x00\x00\x03\x03\x01"))
	slog.SetDefault(slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, name string, request, rest []byte) {
		server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(readOnly))
		if err != nil {
			t.Fatal(err)
		}
		(&Service{}).Register(server)
		call, err := proto.Marshal(&ttrpc.Request{Service: "grpc.AgentService", Method: name, Payload: request})
		if err != nil {
			return // a name that is no text
		}
		host, guest := net.Pipe()
		served := make(chan error, 1)
		l := &single{conn: guest, over: make(chan struct{})}
		go func() { served <- server.Serve(t.Context(), l) }()
		_ = host.SetDeadline(time.Now().Add(20 * time.Second))
		go func() { _, _ = io.Copy(io.Discard, host) }()
		head := binary.BigEndian.AppendUint32(nil, uint32(len(call)))
		head = append(head, 0, 0, 0, 1, 1, 0)
		_, _ = host.Write(append(append(head, call...), rest...))
		_ = host.Close()
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if err := leaktest.Receive(t, served); !errors.Is(err, ttrpc.ErrServerClosed) {
			t.Fatalf("serving ended with %v", err)
		}
	})
}

// methodNames are those of all calls.
func methodNames() []string {
	var names []string
	methods := agentpb.File_agent_proto.Services().ByName("AgentService").Methods()
	for i := range methods.Len() {
		names = append(names, string(methods.Get(i).Name()))
	}
	return names
}

// single is a listener with one connection.
type single struct {
	conn net.Conn
	over chan struct{}
	once sync.Once
}

func (l *single) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.over
	return nil, net.ErrClosed
}

func (l *single) Close() error {
	l.once.Do(func() { close(l.over) })
	return nil
}

func (l *single) Addr() net.Addr { return &net.UnixAddr{Name: "single"} }

// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/transport"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/template"
)

func TestTemplates(t *testing.T) {
	path, state := configured(t)
	empty := tool(t, nil, "template", "-config", path)
	if empty.code != 0 || strings.Count(empty.out, "\n") != 1 {
		t.Errorf("no templates: %+v", empty)
	}
	store := template.Store{Dir: config.Config{Runtime: config.Runtime{StateDir: state}}.TemplateDir()}
	key := putTemplate(t, store)
	got := tool(t, nil, "template", "-config", path, "-json", "list")
	var lines []templateLine
	if err := json.Unmarshal([]byte(got.out), &lines); err != nil || len(lines) != 1 || lines[0].Key != key || lines[0].Bytes == 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	if got := tool(t, nil, "template", "-config", path); !strings.Contains(got.out, key) {
		t.Errorf("list: %+v", got)
	}
	if got := tool(t, nil, "template", "-config", path, "check"); got.code != 0 || !strings.Contains(got.out, key) {
		t.Errorf("check: %+v", got)
	}
	if err := os.Chmod(filepath.Join(store.Dir, key, "memory"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tool(t, nil, "template", "-config", path, "check"); got.code != 1 || !strings.Contains(got.err, "changed") {
		t.Errorf("check of one that was changed: %+v", got)
	}
	if got := tool(t, nil, "template", "-config", path, "remove", key); got.code != 0 {
		t.Errorf("remove: %+v", got)
	}
	putTemplate(t, store)
	if got := tool(t, nil, "template", "-config", path, "remove", "all"); got.code != 0 {
		t.Errorf("remove all: %+v", got)
	}
	if left, err := store.List(); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	for _, args := range [][]string{{"remove"}, {"nonsense"}, {"list", "x"}} {
		if got := tool(t, nil, append([]string{"template", "-config", path}, args...)...); got.code != 2 {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := tool(t, nil, "template", "-config", path, "make"); got.code != 1 {
		t.Errorf("make, without a guest: %+v", got)
	}
}

// putTemplate saves a VM without a machine and returns the template's key.
func putTemplate(t *testing.T, store template.Store) string {
	t.Helper()
	b := template.Builder{
		Store: store, Settle: time.Millisecond, Config: hypervisor.Config{Binary: "/bin/true", Kernel: "/bin/true", MemoryMiB: 1},
		NewVM: func(c hypervisor.Config) (hypervisor.VM, error) {
			vm := fake.New(c)
			vm.Handle(transport.PortAgent, serveAgent)
			return vm, nil
		},
	}
	key, err := b.Build(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

// serveAgent answers what a template's builder asks, with nothing.
func serveAgent(conn net.Conn) {
	server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(
		func(_ context.Context, _ ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, _ ttrpc.Method) (any, error) {
			return &emptypb.Empty{}, nil
		}))
	if err != nil {
		return
	}
	agentpb.RegisterAgentServiceService(server, nil)
	agentpb.RegisterHealthService(server, nil)
	listener := make(oneConn, 1)
	ended := endingConn{Conn: conn, end: sync.OnceFunc(func() { _ = server.Close() })}
	listener <- ended
	_ = server.Serve(context.Background(), listener)
}

// endingConn tells of its end. The server itself does not take that of a connection
// that was closed on this side for one.
type endingConn struct {
	net.Conn
	end func()
}

func (c endingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end()
	}
	return n, err
}

// oneConn is a listener with one connection.
type oneConn chan net.Conn

func (o oneConn) Accept() (net.Conn, error) {
	conn, open := <-o
	if !open {
		return nil, net.ErrClosed
	}
	close(o)
	return conn, nil
}
func (oneConn) Close() error   { return nil }
func (oneConn) Addr() net.Addr { return transport.Addr{} }

// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}` + "\r\n"

// peer is the test's QEMU: answer gets each command but the negotiation.
type peer struct {
	t      *testing.T
	conn   *net.UnixConn
	answer func(p *peer, r request)
}

func (p *peer) send(format string, args ...any) {
	_, _ = fmt.Fprintf(p.conn, format+"\r\n", args...)
}

func (p *peer) serve(hello string) {
	_, _ = p.conn.Write([]byte(hello))
	lines := bufio.NewScanner(p.conn)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			p.t.Errorf("the client sent %q: %v", lines.Text(), err)
			return
		}
		if r.Execute == "qmp_capabilities" {
			p.send(`{"return": {}, "id": %d}`, r.ID)
			continue
		}
		p.answer(p, r)
	}
}

func pair(t *testing.T) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "qmp")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return conns[0], conns[1]
}

func dial(t *testing.T, events func(Event), answer func(*peer, request)) *Client {
	t.Helper()
	ours, theirs := pair(t)
	go (&peer{t, theirs, answer}).serve(greeting)
	c, v, err := New(t.Context(), ours, events)
	if err != nil {
		t.Fatal(err)
	}
	if v.String() != "7.2.22" || v.Package != "Debian" || !v.AtLeast(7, 2) || v.AtLeast(7, 3) || v.AtLeast(8, 0) || !v.AtLeast(6, 9) {
		t.Errorf("version %+v", v)
	}
	t.Cleanup(c.Close)
	return c
}

func ignore(Event) {}

func TestExecute(t *testing.T) {
	c := dial(t, ignore, func(p *peer, r request) {
		switch r.Execute {
		case "query-status":
			p.send(`{"return": {"status": "running", "new": [1]}, "id": %d}`, r.ID)
		case "odd":
			p.send(`{"return": [], "id": %d}`, r.ID)
		default:
			p.send(`{"error": {"class": "DeviceNotFound", "desc": "no such thing"}, "id": %d}`, r.ID)
		}
	})
	var status struct{ Status string }
	if err := c.Execute(t.Context(), "query-status", nil, &status); err != nil || status.Status != "running" {
		t.Errorf("status %+v, %v", status, err)
	}
	if err := c.Execute(t.Context(), "query-status", nil, nil); err != nil {
		t.Error(err)
	}
	if err := c.Execute(t.Context(), "odd", nil, &status); err == nil {
		t.Error("an answer of another shape was decoded")
	}
	err := c.Execute(t.Context(), "device_del", map[string]any{"id": "x"}, nil)
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Class != "DeviceNotFound" || err.Error() != "QEMU refused device_del: no such thing" {
		t.Errorf("refusal %v", err)
	}
}

func TestAnswersOutOfOrder(t *testing.T) {
	var held []request
	c := dial(t, ignore, func(p *peer, r request) {
		held = append(held, r)
		if len(held) < 8 {
			return
		}
		p.send(`{"return": {}, "id": 9999}`)
		for i := len(held) - 1; i >= 0; i-- {
			p.send(`{"return": {"name": %q}, "id": %d}`, held[i].Execute, held[i].ID)
		}
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var got struct{ Name string }
			command := fmt.Sprintf("command-%d", i)
			if err := c.Execute(t.Context(), command, nil, &got); err != nil || got.Name != command {
				t.Errorf("%s got %+v, %v", command, got, err)
			}
		})
	}
	wg.Wait()
}

func TestEventsInOrder(t *testing.T) {
	var got []string
	c := dial(t, func(e Event) { got = append(got, e.Name+string(e.Data)) }, func(p *peer, r request) {
		for i := range 3 {
			p.send(`{"event": "E%d", "data": {"n": %d}, "timestamp": {"seconds": 1}}`, i, i)
		}
		p.send(`{"return": {}, "id": %d}`, r.ID)
	})
	if err := c.Execute(t.Context(), "go", nil, nil); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, " "); s != `E0{"n": 0} E1{"n": 1} E2{"n": 2}` {
		t.Errorf("events %s", s)
	}
}

func TestContextEndsTheWait(t *testing.T) {
	c := dial(t, ignore, func(*peer, request) {})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Execute(ctx, "sleep", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if len(c.pending) != 0 {
		t.Errorf("%d commands are still pending", len(c.pending))
	}
}

func TestEndOfTheChannel(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(*peer, request)
		says   string
	}{
		{"QEMU dies", func(p *peer, _ request) { p.conn.Close() }, "closed"},
		{"not JSON", func(p *peer, _ request) { p.send("hello") }, "not QMP"},
		{"an endless line", func(p *peer, _ request) {
			_, _ = p.conn.Write([]byte(strings.Repeat("x", MaxMessage+1)))
		}, "too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, ignore, tc.answer)
			err := c.Execute(t.Context(), "boom", nil, nil)
			if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want the end and %q", err, tc.says)
			}
			leaktest.Receive(t, c.Done())
			if err := c.Execute(t.Context(), "later", nil, nil); !errors.Is(err, ErrClosed) {
				t.Errorf("a later command: %v", err)
			}
		})
	}
}

func TestBadGreeting(t *testing.T) {
	ours, theirs := pair(t)
	theirs.Close()
	if _, _, err := New(t.Context(), ours, ignore); !errors.Is(err, ErrClosed) {
		t.Errorf("no greeting: %v", err)
	}
	ours, _ = pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := New(ctx, ours, ignore); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent peer: %v", err)
	}
}

func TestSendFile(t *testing.T) {
	ours, theirs := pair(t)
	received := make(chan string, 1)
	go func() {
		_, _ = theirs.Write([]byte(greeting))
		for {
			line, oob := make([]byte, 4096), make([]byte, 64)
			n, oobn, _, _, err := theirs.ReadMsgUnix(line, oob)
			var r request
			if err != nil || json.Unmarshal(line[:n], &r) != nil {
				return
			}
			if r.Execute == "getfd" {
				received <- readFile(oob[:oobn])
			}
			_, _ = fmt.Fprintf(theirs, `{"return": {}, "id": %d}`+"\n", r.ID)
		}
	}()
	c, _, err := New(t.Context(), ours, ignore)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, _ = w.WriteString("through")
	w.Close()
	if err := c.SendFile(t.Context(), "tap", int(r.Fd())); err != nil {
		t.Fatal(err)
	}
	if got := <-received; got != "through" {
		t.Errorf("the descriptor that arrived reads %q", got)
	}
}

// readFile reads from the descriptor in a control message.
func readFile(oob []byte) string {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return fmt.Sprintf("messages %v, %v", messages, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return fmt.Sprintf("descriptors %v, %v", fds, err)
	}
	f := os.NewFile(uintptr(fds[0]), "received")
	defer f.Close()
	b := make([]byte, 64)
	n, _ := f.Read(b)
	return string(b[:n])
}

// FuzzPeer feeds arbitrary bytes after the greeting: nothing may panic or hang.
func FuzzPeer(f *testing.F) {
	for _, s := range []string{"", "{}", `{"event":""}`, `{"id":1}`, `{"return":1,"id":1}`, `{"QMP":{}}`, "null", "[]\n{\"id\":-1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := pair(t)
		go func() {
			_, _ = theirs.Write(append([]byte(greeting), b...))
			theirs.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, _, err := New(ctx, ours, ignore)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("it hangs")
		}
		if err == nil {
			c.Close()
		}
	})
}

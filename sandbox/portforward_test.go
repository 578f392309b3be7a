// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/protocols/forward"
	"github.com/katapod/katapod/protocols/transport"
)

// fakeLoopback stands for a steered loopback of which one port is known.
type fakeLoopback struct {
	net.Listener
	host *fakeHost
}

func (l fakeLoopback) Close() error {
	_ = l.host.remove("steering", "")
	return l.Listener.Close()
}

// Steer implements [Network].
func (n fakeNetwork) Steer(string) (net.Listener, error) {
	if err := n.h.make("steering", ""); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n.h.steered <- l.Addr().String()
	return fakeLoopback{l, n.h}, nil
}

// forwarding is a pod whose agent forwards: to a program that sends back what it
// gets, or to nothing.
func forwarding(t *testing.T, listens bool, change ...func(*Options)) *fixture {
	t.Helper()
	f := newFixture(t, change...)
	f.agent.features = append(f.agent.features, forward.Feature)
	f.vm.ports = func(stream net.Conn) {
		defer stream.Close()
		if _, err := forward.ReadPort(stream); err != nil || forward.Answer(stream, listens) != nil || !listens {
			return
		}
		_, _ = io.Copy(stream, stream)
	}
	if err := f.pod.Start(background); err != nil {
		t.Fatal(err)
	}
	return f
}

// dial connects to the pod's loopback.
func (f *fixture) dial() *net.TCPConn {
	f.t.Helper()
	c, err := f.tryDial()
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *fixture) tryDial() (*net.TCPConn, error) {
	f.t.Helper()
	var address string
	select {
	case address = <-f.host.steered:
		f.host.steered <- address
	case <-time.After(20 * time.Second):
		f.t.Fatal("the loopback was not steered")
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	f.t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn), nil
}

// refused wants a connection to be reset, which may be before dial returns.
func (f *fixture) refused(what string) {
	f.t.Helper()
	c, err := f.tryDial()
	switch {
	case err == nil:
		wantReset(f.t, what, c)
	case !errors.Is(err, unix.ECONNRESET):
		f.t.Errorf("%s: dial %v, want a reset", what, err)
	}
}

func TestForward(t *testing.T) {
	f := forwarding(t, true)
	for range 3 {
		c := f.dial()
		data := make([]byte, 1<<20)
		_, _ = rand.Read(data)
		go func() {
			_, _ = c.Write(data)
			_ = c.CloseWrite()
		}()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of %d came back, %v", len(got), len(data), err)
		}
	}
}

// The guest is asked for the port that was dialled.
func TestForwardNamesThePort(t *testing.T) {
	asked, breakOff := make(chan uint16, 1), make(chan struct{})
	f := forwarding(t, false)
	f.vm.Handle(transport.PortForward, func(stream net.Conn) {
		port, _ := forward.ReadPort(stream)
		asked <- port
		<-breakOff
		_ = stream.Close()
	})
	c := f.dial() // it lasts until the agent breaks off
	_, want, _ := net.SplitHostPort(c.RemoteAddr().String())
	if got := strconv.Itoa(int(leaktest.Receive(t, asked))); got != want {
		t.Errorf("port %s was asked for, want %s", got, want)
	}
	close(breakOff)
	wantReset(t, "an agent that breaks off", c)
}

func TestForwardToNothing(t *testing.T) {
	forwarding(t, false).refused("an unused port")
}

func TestForwardsAreBounded(t *testing.T) {
	f := forwarding(t, true)
	for range maxForwards {
		c := f.dial()
		_, _ = c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	f.refused("one too many")
}

// The end of the pod ends its connections, however it comes.
func TestForwardsEndWithThePod(t *testing.T) {
	for name, end := range map[string]func(*fixture){
		"stop":  func(f *fixture) { _ = f.pod.Stop(background) },
		"death": func(f *fixture) { f.vm.die("a crash") },
	} {
		t.Run(name, func(t *testing.T) {
			f := forwarding(t, true)
			c := f.dial()
			_, _ = c.Write([]byte("x"))
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			end(f)
			wantReset(t, name, c)
			await(t, f.pod.Done(), "the pod's end")
			if c, err := net.Dial("tcp", c.RemoteAddr().String()); err == nil {
				_ = c.Close()
				t.Error("the loopback is still steered")
			}
		})
	}
}

// A pod runs without: under an agent that cannot forward, on a kernel that
// refuses, and where the namespace is not the pod's.
func TestPodWithoutForwarding(t *testing.T) {
	for name, prepare := range map[string]func(*fixture){
		"agent":  func(f *fixture) { f.agent.features = f.agent.features[:1] },
		"kernel": func(f *fixture) { f.host.fail["steering"] = unix.EPERM },
		"namespace": func(f *fixture) {
			f.pod.options.NetNS = ""
			f.pod.options.Config.Runtime.DisableNewNetNS = true
			f.host.setState(network.State{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.agent.features = append(f.agent.features, forward.Feature)
			prepare(f)
			if err := f.pod.Start(background); err != nil {
				t.Fatal(err)
			}
			f.pod.forwardPorts() // returns, having done nothing
			if len(f.host.steered) > 0 {
				t.Error("the loopback is steered")
			}
		})
	}
}

// A steering that comes after the pod's end is given up.
func TestSteeringThatIsLate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var p portForward
	p.close()
	p.hold(l)
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it goes on: %v", err)
	}
}

// wantReset wants an error at once, and no end of file.
func wantReset(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("%s: read %v, want a reset", what, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/leaktest"
)

// chardev plays the VMM's part of a virtio-serial port: a unix socket that
// takes one connection at a time, and for the guest a port whose reads give
// zero bytes while no host is connected and whose writes then block.
type chardev struct {
	path string
	l    *net.UnixListener

	mu       sync.Mutex
	cond     *sync.Cond
	host     *net.UnixConn // nil while the host is away
	deadline time.Time
	in       []byte
}

// newChardev starts a port. Its socket is closed with the test.
func newChardev(t *testing.T) *chardev {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mux.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	c := &chardev{path: path, l: l}
	c.cond = sync.NewCond(&c.mu)
	done := make(chan struct{})
	go func() { defer close(done); c.run() }()
	t.Cleanup(func() {
		_ = l.Close()
		c.hangUp()
		leaktest.Receive(t, done)
	})
	return c
}

// run takes hosts one after the other and reads what they send.
func (c *chardev) run() {
	for {
		conn, err := c.l.AcceptUnix()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.host = conn
		c.cond.Broadcast()
		c.mu.Unlock()
		c.pump(conn)
	}
}

// pump moves the host's bytes into a bounded buffer.
func (c *chardev) pump(conn *net.UnixConn) {
	b := make([]byte, 4096) // as QEMU reads
	for {
		n, err := conn.Read(b)
		c.mu.Lock()
		for err == nil && len(c.in) > 64<<10 && c.host == conn {
			c.cond.Wait()
		}
		c.in = append(c.in, b[:n]...)
		if err != nil {
			c.host = nil
			_ = conn.Close()
		}
		c.cond.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// hangUp breaks the host's connection, as the end of the VMM does.
func (c *chardev) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.host != nil {
		_ = c.host.Close()
	}
}

// late reports a deadline that has passed.
func (c *chardev) late() bool { return !c.deadline.IsZero() && !c.deadline.After(time.Now()) }

// Read implements the guest's read(2).
func (c *chardev) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.in) == 0 && c.host != nil && !c.late() {
		c.cond.Wait()
	}
	if c.late() {
		return 0, os.ErrDeadlineExceeded
	}
	if len(c.in) == 0 {
		return 0, io.EOF // what os.File makes of a read of zero bytes
	}
	n := copy(p, c.in[:min(len(c.in), 4096)])
	c.in = c.in[n:]
	c.cond.Broadcast()
	return n, nil
}

// Write implements the guest's write(2).
func (c *chardev) Write(p []byte) (int, error) {
	c.mu.Lock()
	for c.host == nil && !c.late() {
		c.cond.Wait()
	}
	host, late := c.host, c.late()
	c.mu.Unlock()
	if late {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := host.Write(p)
	if err != nil {
		return n, os.ErrDeadlineExceeded // nobody takes it: the device blocks
	}
	return n, nil
}

// SetDeadline implements serialPort.
func (c *chardev) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.host != nil {
		_ = c.host.SetWriteDeadline(t)
	}
	c.cond.Broadcast()
	return nil
}

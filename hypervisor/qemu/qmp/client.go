// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// MaxMessage is the longest message taken from QEMU, in bytes. The longest
// reply in use, a list of devices, is a few KiB.
const MaxMessage = 1 << 20

// ErrClosed says that the control channel to QEMU has ended.
var ErrClosed = errors.New("the control channel to QEMU is closed")

// Client is one control channel. It is safe for concurrent use.
type Client struct {
	conn    *net.UnixConn
	handler func(Event)
	// writeMu is held while one command is written; mu is not.
	writeMu sync.Mutex

	// mu guards what follows.
	mu      sync.Mutex
	next    uint64
	pending map[uint64]chan message
	err     error
	done    chan struct{}
}

// New takes over conn, reads the greeting, negotiates, and begins to serve.
// handler is called for each event, in order, from the goroutine that reads
// replies: it must not block and must not call Execute. On error conn is closed.
func New(ctx context.Context, conn *net.UnixConn, handler func(Event)) (*Client, Version, error) {
	c := &Client{conn: conn, handler: handler, pending: map[uint64]chan message{}, done: make(chan struct{})}
	greeted := make(chan Version, 1)
	// It is the client's, and ends with the connection, which Close closes.
	go c.read(greeted)
	select {
	case v := <-greeted:
		if err := c.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
			c.Close()
			return nil, Version{}, fmt.Errorf("negotiate with QEMU: %w", err)
		}
		return c, v, nil
	case <-c.done:
		return nil, Version{}, fmt.Errorf("wait for QEMU's greeting: %w", c.cause())
	case <-ctx.Done():
		c.Close()
		return nil, Version{}, fmt.Errorf("wait for QEMU's greeting: %w", ctx.Err())
	}
}

// Execute runs a command and decodes what it returns into result unless that is
// nil. QEMU's refusal is an [*Error]. When ctx ends first the reply is dropped,
// and the command may still take effect.
func (c *Client) Execute(ctx context.Context, command string, arguments, result any) error {
	return c.execute(ctx, command, arguments, result, nil)
}

// SendFile hands a copy of the open descriptor fd to QEMU under a name that
// later commands use (QMP command getfd).
func (c *Client) SendFile(ctx context.Context, name string, fd int) error {
	return c.execute(ctx, "getfd", map[string]any{"fdname": name}, nil, unix.UnixRights(fd))
}

// AddFile hands a copy of the open descriptor fd to QEMU in a set of its own, and
// returns the set's number: QEMU opens /dev/fdset/<number> as if it were the file
// (QMP command add-fd).
func (c *Client) AddFile(ctx context.Context, fd int) (set int, err error) {
	var added struct {
		Set int `json:"fdset-id"`
	}
	err = c.execute(ctx, "add-fd", nil, &added, unix.UnixRights(fd))
	return added.Set, err
}

func (c *Client) execute(ctx context.Context, command string, arguments, result any, oob []byte) error {
	id, reply, err := c.register()
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	defer c.forget(id)
	line, err := json.Marshal(request{Execute: command, Arguments: arguments, ID: id})
	if err != nil {
		return fmt.Errorf("encode the command %s: %w", command, err)
	}
	if err := c.write(line, oob); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	select {
	case m := <-reply:
		return decode(command, m, result)
	case <-c.done:
		return fmt.Errorf("%s: %w", command, c.cause())
	case <-ctx.Done():
		return fmt.Errorf("wait for QEMU's answer to %s: %w", command, ctx.Err())
	}
}

func decode(command string, m message, result any) error {
	if m.Error != nil {
		return &Error{Command: command, Class: m.Error.Class, Desc: m.Error.Desc}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Return, result); err != nil {
		return fmt.Errorf("decode QEMU's answer to %s: %w", command, err)
	}
	return nil
}

func (c *Client) register() (uint64, <-chan message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	c.next++
	reply := make(chan message, 1)
	c.pending[c.next] = reply
	return c.next, reply, nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

func (c *Client) write(line, oob []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(timeouts.QMPWrite)); err != nil {
		return errors.Join(ErrClosed, err)
	}
	n, _, err := c.conn.WriteMsgUnix(append(line, '\n'), oob, nil)
	if err == nil && n <= len(line) {
		err = fmt.Errorf("only %d of %d bytes were taken", n, len(line)+1)
	}
	if err != nil {
		// Half a command leaves the channel unusable.
		c.fail(err)
		return errors.Join(ErrClosed, err)
	}
	return nil
}

// read is the only reader; it ends with the connection.
func (c *Client) read(greeted chan<- Version) {
	lines := bufio.NewScanner(c.conn)
	lines.Buffer(make([]byte, 0, 4096), MaxMessage)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			c.fail(fmt.Errorf("QEMU sent what is not QMP: %w", err))
			return
		}
		switch {
		case m.Greeting != nil:
			select {
			case greeted <- m.version():
			default: // A second greeting means nothing.
			}
		case m.Event != "":
			c.handler(Event{Name: m.Event, Data: m.Data})
		case m.ID != nil:
			c.deliver(m)
		}
	}
	c.fail(lines.Err())
}

func (c *Client) deliver(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reply, ok := c.pending[*m.ID]; ok {
		delete(c.pending, *m.ID)
		reply <- m // It has room for the one reply it will get.
	}
}

// fail ends the channel once; err is nil for an orderly end.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = ErrClosed
	if err != nil {
		c.err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	_ = c.conn.Close() // Nobody can act on a failure to close.
	close(c.done)
}

func (c *Client) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done is closed when the channel has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the channel. QEMU goes on running.
func (c *Client) Close() { c.fail(nil) }

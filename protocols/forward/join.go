// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"io"
	"net"
)

// Join copies both ways between two connections until both directions have
// ended, each with a half-close of its own, or one of them failed, which is the
// error. It closes both connections; a TCP connection is reset after a failure,
// so that its user does not take what came for the whole.
func Join(a, b net.Conn) error {
	defer a.Close()
	defer b.Close()
	ended := make(chan error, 2)
	// Each ends with its connections; the caller waits for both.
	go func() { ended <- pour(a, b) }()
	go func() { ended <- pour(b, a) }()
	err := <-ended
	if err != nil {
		Reset(a)
		Reset(b)
	}
	if second := <-ended; err == nil && second != nil {
		Reset(a)
		Reset(b)
		err = second
	}
	return err
}

// pour copies one direction and passes its end on.
func pour(to, from net.Conn) error {
	// Without the short cuts of the connections' types: they pay where both
	// are of the kernel, and a stream of the guest is not.
	_, err := io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
	if err != nil {
		return err
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return to.Close()
}

// Reset closes a connection; one of TCP so that the other end gets an error
// and no end of file.
func Reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

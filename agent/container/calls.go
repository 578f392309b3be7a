// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/errdefs"
)

// maxRead bounds one read by call, well below ttrpc's limit for a message.
const maxRead = 1 << 20

// read returns the next bytes of an output, at most n of them, waiting for one.
// No bytes and no error is the end. It gives up when ctx ends.
func (o *output) read(ctx context.Context, n uint32) ([]byte, error) {
	if n == 0 || n > maxRead {
		n = maxRead
	}
	o.reading.Lock()
	defer o.reading.Unlock()
	defer interrupt(ctx, o.file.SetReadDeadline)()
	buf := make([]byte, n)
	got, err := o.file.Read(buf)
	switch {
	case got > 0 || err == nil:
		return buf[:got], nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("read a process's output: %w", context.Cause(ctx))
	case isEnd(err):
		o.end()
		return nil, nil
	default:
		return nil, fmt.Errorf("read a process's output: %w", err)
	}
}

// write gives bytes to the standard input and returns how many were taken. It
// gives up when ctx ends.
func (s *streams) write(ctx context.Context, data []byte) (int, error) {
	in := s.stdin()
	if in == nil {
		return 0, fmt.Errorf("write to a standard input that is closed: %w", errdefs.ErrFailedPrecondition)
	}
	defer interrupt(ctx, in.SetWriteDeadline)()
	n, err := in.Write(data)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = context.Cause(ctx)
	}
	if err != nil {
		return n, fmt.Errorf("write to a standard input: %w", err)
	}
	return n, nil
}

// interrupt makes a blocked call on a file return when ctx ends. The caller
// runs the returned function after the call.
func interrupt(ctx context.Context, setDeadline func(time.Time) error) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = setDeadline(time.Now())
	})
	return func() {
		if !stop() {
			<-done
			_ = setDeadline(time.Time{})
		}
	}
}

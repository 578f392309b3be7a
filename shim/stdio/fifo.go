// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// openOutput opens a FIFO for writing, or a plain file for appending. Non-blocking
// mode lets Close end a write that waits.
func openOutput(path string) (io.WriteCloser, error) {
	fifo, err := isFIFO(path)
	if err != nil {
		return nil, err
	}
	if fifo {
		return newOutput(path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, wrong("open the output that the engine named", err)
	}
	return f, nil
}

// input is the reading end of a FIFO and a writing end that keeps it from
// ending.
type input struct {
	*os.File
	keeper *os.File
}

// openInput opens a FIFO for reading. The keeper is opened first: with no writer
// at all a read would see the end of the input at once. A plain file has no
// keeper; it ends where it ends.
func openInput(path string) (*input, error) {
	fifo, err := isFIFO(path)
	if err != nil {
		return nil, err
	}
	var in input
	if fifo {
		if in.keeper, err = os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0); err != nil {
			return nil, wrong("hold the input that the engine named", err)
		}
	}
	if in.File, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		return nil, errors.Join(wrong("open the input that the engine named", err), in.release())
	}
	return &in, nil
}

// release lets the input end when the engine's writers are gone. It may be
// called again.
func (in *input) release() error {
	if in.keeper == nil {
		return nil
	}
	if err := in.keeper.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("release the process's input: %w", err)
	}
	return nil
}

// Close releases both ends; it may be called again.
func (in *input) Close() error {
	err := in.File.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, in.release())
}

func isFIFO(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, wrong("look at the stream that the engine named", err)
	}
	switch mode := info.Mode(); {
	case mode.IsRegular(), mode&os.ModeCharDevice != 0:
		return false, nil
	case mode&os.ModeNamedPipe != 0:
		return true, nil
	default:
		return false, fmt.Errorf("the stream %s that the engine named is neither a FIFO nor a file: %w", path, errdefs.ErrInvalidArgument)
	}
}

// wrong says that a name leads nowhere, errdefs.ErrNotFound, or to what cannot be a
// stream, errdefs.ErrInvalidArgument.
func wrong(what string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w: %w", what, err, errdefs.ErrNotFound)
	}
	return fmt.Errorf("%s: %w: %w", what, err, errdefs.ErrInvalidArgument)
}

// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// An output whose writer does not stop is copied in large pieces, from a larger pipe; a process that says a word
// keeps what it has.
func TestPipeOfABusyOutputGrows(t *testing.T) {
	for _, c := range []struct{ said, size, pipe int }{
		{5, defaultPipe, defaultPipe},
		{1 << 20, defaultPipe, fullPipe},
		{1 << 20, 16 << 10, 16 << 10}, // chosen
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		pipeSize(t, w, unix.F_SETPIPE_SZ, c.size)
		said := bytes.Repeat([]byte("0123456789abcdef."), c.said/17+1)[:c.said]
		host, guest := net.Pipe()
		heard := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(host)
			heard <- all
		}()
		go func() {
			_, _ = w.Write(said)
			_ = w.Close()
		}()
		held, err := unix.Dup(descriptor(t, r))
		if err != nil {
			t.Fatal(err)
		}
		if over, err := forward(guest, newOutput(r)); !over || err != nil {
			t.Errorf("forward returned %v, %v", over, err)
		}
		_ = guest.Close()
		if got := leaktest.Receive(t, heard); !bytes.Equal(got, said) {
			t.Errorf("%d bytes arrived of %d, or others", len(got), len(said))
		}
		still := os.NewFile(uintptr(held), "pipe")
		if got := pipeSize(t, still, unix.F_GETPIPE_SZ, 0); got != c.pipe {
			t.Errorf("the pipe of an output of %d bytes has %d, want %d", c.said, got, c.pipe)
		}
		_ = still.Close()
	}
}

func pipeSize(t *testing.T, f *os.File, command, value int) int {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var size int
	var failed error
	if err := raw.Control(func(fd uintptr) { size, failed = unix.FcntlInt(fd, command, value) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return size
}

// descriptor is f's, which stays one that is polled.
func descriptor(t *testing.T, f *os.File) (n int) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return n
}

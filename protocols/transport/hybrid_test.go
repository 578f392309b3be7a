// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/leaktest"
)

// fakeVMM answers greetings on a unix socket: port 1 echoes, port 2 never
// answers, any other port is refused.
func fakeVMM(t *testing.T, path string) {
	t.Helper()
	checkLeaks(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				switch port, _ := readConnect(c); port {
				case 1:
					_ = writeLine(c, verbOK, 1<<30)
					echo(c)
				case 2:
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
}

func newHybrid(t *testing.T, path string) *Hybrid {
	t.Helper()
	h := NewHybrid(path)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestHybrid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vsock")
	h := newHybrid(t, path)
	starting := make(chan struct{})
	time.AfterFunc(20*time.Millisecond, func() { // the dialer waits for the VMM
		defer close(starting)
		fakeVMM(t, path)
	})
	c := dial(t, h, 1)
	leaktest.Receive(t, starting)
	exchange(t, c, "hello")
	_ = c.CloseWrite()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after both half closes a read gave %v", err)
	}
}

func TestHybridRefusedAndSilent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vsock")
	fakeVMM(t, path)
	h := newHybrid(t, path)
	for port, want := range map[uint32]string{
		2: "did not answer",
		3: "connection refused: nothing listens on guest port 3",
	} {
		mustTimeOut(t, h, port, want)
	}
}

func TestHybridNoVMM(t *testing.T) {
	checkLeaks(t)
	h := newHybrid(t, filepath.Join(t.TempDir(), "none"))
	mustTimeOut(t, h, 1, "is the VMM running?")
}

func TestHybridCloseBreaksStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vsock")
	fakeVMM(t, path)
	h := newHybrid(t, path)
	c := dial(t, h, 1)
	exchange(t, c, "x")
	_ = h.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read gave %v", err)
	}
	if _, err := h.Dial(testContext(t), 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a Dial gave %v", err)
	}
}

// TestLongSocketPath is longer than a socket address can be.
func TestLongSocketPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "vsock")
	fakeVMM(t, short)
	long := filepath.Join(dir, "vsock")
	if err := os.Rename(short, long); err != nil {
		t.Fatal(err)
	}
	exchange(t, dial(t, newHybrid(t, long), 1), "far away")
}

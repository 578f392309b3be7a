// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/integration/leaktest"
)

// starter starts commands without a reaper.
type starter struct{}

func (starter) Start(cmd *exec.Cmd) (<-chan reaper.Exit, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := make(chan reaper.Exit, 1)
	go func() { _, _ = cmd.Process.Wait(); c <- reaper.Exit{} }()
	return c, nil
}

func TestEachConnectionHasAShell(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, starter{}) }()
	for i := range 2 {
		conn, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "echo $((%d+40)); tty; exit\n", i)
		out, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(out), fmt.Sprintf("%d\r\n/dev/pts/", i+40)) {
			t.Errorf("%q, %v", out, err)
		}
	}
	cancel()
	if err := leaktest.Receive(t, served); err != nil {
		t.Error(err)
	}
}

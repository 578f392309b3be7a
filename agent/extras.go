// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/katapod/katapod/agent/boot"
	"github.com/katapod/katapod/agent/console"
	"github.com/katapod/katapod/agent/forward"
	"github.com/katapod/katapod/agent/guestnet"
	"github.com/katapod/katapod/agent/names"
	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/protocols/transport"
)

// serveExtras opens the ports of forwarded connections and of names, and the log port and the
// debug console when they are asked for.
// What ends them is logged; the agent does without them.
func serveExtras(ctx context.Context, guest *transport.Guest, p boot.Parameters, r *reaper.Reaper, network *guestnet.Network) error {
	if p.LogPort != 0 {
		l, err := guest.Listen(p.LogPort)
		if err != nil {
			return fmt.Errorf("open the port of the log: %w", err)
		}
		port := newLogPort()
		setLog(io.MultiWriter(os.Stdout, port), p.LogLevel)
		// It ends with ctx, as those below do: that of the guest's life.
		go logged("the log port", func() error { return port.serve(ctx, l) })
	}
	ports, err := guest.Listen(transport.PortForward)
	if err != nil {
		return fmt.Errorf("open the port of forwarded connections: %w", err)
	}
	// It ends with ctx.
	go logged("the forwarding of ports", func() error { return forward.Serve(ctx, ports, network.Run) })
	questions, err := guest.Listen(transport.PortNames)
	if err != nil {
		return fmt.Errorf("open the port of questions for names: %w", err)
	}
	// It ends with ctx.
	go logged("questions for names", func() error { return names.Serve(ctx, questions) })
	switch {
	case !p.DebugConsole:
	case p.DebugConsolePort == 0:
		// It ends with ctx.
		go logged("the debug console", func() error { return console.OnTerminal(ctx, "/dev/console", r) })
	default:
		l, err := guest.Listen(p.DebugConsolePort)
		if err != nil {
			return fmt.Errorf("open the port of the debug console: %w", err)
		}
		// It ends with ctx.
		go logged("the debug console", func() error { return console.Serve(ctx, l, r) })
	}
	return nil
}

func logged(what string, f func() error) {
	if err := f(); err != nil {
		slog.Error(what+" failed", "error", err)
	}
}

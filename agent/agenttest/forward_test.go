// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/forward"
	"github.com/katapod/katapod/protocols/transport"
)

// testForward reaches a container that listens on the guest's loopback alone.
func testForward(t *testing.T, g *guestUser) {
	p := g.run(t, "echo hello > /tmp/index.html; exec httpd -f -p 127.0.0.1:8080 -h /tmp")
	for deadline := time.Now().Add(patience); ; {
		stream := g.dial(g.ctx, t, transport.PortForward)
		err := forward.Request(stream, 8080)
		if errdefs.IsUnavailable(err) && time.Now().Before(deadline) {
			_ = stream.Close()
			continue // the program is about to listen
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(stream, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, stream); !strings.HasSuffix(got, "\r\n\r\nhello\n") {
			t.Errorf("port 8080 said %q", got)
		}
		_ = stream.Close()
		break
	}
	stream := g.dial(g.ctx, t, transport.PortForward)
	defer func() { _ = stream.Close() }()
	if err := forward.Request(stream, 8081); !errdefs.IsUnavailable(err) {
		t.Errorf("an unused port gave %v", err)
	}
	g.signal(t, p, 9)
}

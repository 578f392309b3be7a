// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// A port is reached that listens on the guest's loopback alone, and one that nothing listens on fails: at once, but for the
// second for which containerd waits for the rest of a connection.
func TestPodPortForward(t *testing.T) {
	pod := startPod(t, node.Pod{Name: "forward"})
	pod.start(node.Container{Name: "four", Args: []string{"probe", "echo", "127.0.0.1:7001"}})
	pod.start(node.Container{Name: "six", Args: []string{"probe", "echo", "[::1]:7002"}})
	pod.waitLog("four", "listening")
	pod.waitLog("six", "listening")
	probe := filepath.Join(shared.Out, "node", "probe")
	for _, c := range []struct {
		name       string
		port, size int
	}{
		{"IPv4", 7001, 64 << 20},
		{"IPv6", 7002, 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := pod.forward(t, c.port)
			res, err := shared.Runner().Try(pod.ctx, probe, "exchange", address, strconv.Itoa(c.size))
			if err != nil || res.Code != 0 {
				t.Fatalf("%d MiB and back: %+v, %v", c.size>>20, res, err)
			}
			t.Logf("%d MiB and back in %s", c.size>>20, res.Elapsed.Round(time.Millisecond))
		})
	}
	t.Run("unused", func(t *testing.T) {
		res, err := shared.Runner().Try(pod.ctx, probe, "dial", pod.forward(t, 7003))
		if err != nil || res.Stdout != "" || res.Elapsed > 10*time.Second {
			t.Errorf("a port on which nothing listens: %+v, %v", res, err)
		}
		t.Logf("it failed after %s", res.Elapsed.Round(time.Millisecond))
	})
}

// forward is the node's Forward for the test's life.
func (p *pod) forward(t *testing.T, port int) string {
	t.Helper()
	address, stop, err := shared.Forward(p.ctx, p.id, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address
}

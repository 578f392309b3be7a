// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// Forward runs crictl port-forward and returns the address inside the node that leads to the pod's port until stop is
// called.
func (n *Node) Forward(ctx context.Context, pod string, port int) (address string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := n.Runner().Command(ctx, "crictl", "port-forward", pod, ":"+strconv.Itoa(port))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("start crictl port-forward: %w", err)
	}
	stop = func() {
		cancel()
		_ = cmd.Wait() // it was killed
	}
	var said string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said += lines.Text() + "\n"
		if m := regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) -> `).FindStringSubmatch(lines.Text()); m != nil {
			return m[1], stop, nil
		}
	}
	stop()
	return "", nil, fmt.Errorf("crictl port-forward to port %d did not say where it listens, but: %q", port, said)
}

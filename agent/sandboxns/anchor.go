// SPDX-License-Identifier: Apache-2.0

package sandboxns

import (
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Anchor is PID 1 of the pod's PID namespace: it reaps orphans and ends on
// SIGTERM or SIGINT, or with the agent's SIGKILL. It returns the exit code.
func Anchor() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGCHLD)
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, unix.SIGTERM, unix.SIGINT)
	for {
		reapAll()
		select {
		case <-signals:
		case <-ends:
			return 0
		}
	}
}

func reapAll() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}

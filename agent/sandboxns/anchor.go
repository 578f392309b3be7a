// SPDX-License-Identifier: Apache-2.0

package sandboxns

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

// anchorProgram is the anchor of the guest's image, see guest-image/anchor/anchor.c.
const anchorProgram = "/usr/sbin/katapod-anchor"

// AnchorArgument is the only argument of anchors. The agent with it is one.
const AnchorArgument = "pause"

// anchor is the command of one: the image's program, which starts much faster than
// another agent, or in other images the agent itself.
func anchor() *exec.Cmd {
	if _, err := os.Stat(anchorProgram); err != nil {
		return exec.Command("/proc/self/exe", AnchorArgument)
	}
	return exec.Command(anchorProgram, AnchorArgument)
}

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

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"

	"golang.org/x/sys/unix"
)

// CreatePause makes the container that stands for the pod. It costs nothing in
// the guest: its init "runs" from Start until a signal that would end a process
// without handlers, or the pod's end, and then exits with 128 + the signal.
func (s *Sandbox) CreatePause(id, bundle string) (*Container, error) {
	c := newContainer(s, id, bundle)
	c.pause = true
	c.init.launch = func(ctx context.Context) error { return s.bindNetwork(ctx) }
	if err := s.enroll(c); err != nil {
		return nil, err
	}
	return c, nil
}

// signalPause does what the kernel does to a process that handles no signal.
func (p *Process) signalPause(signal uint32) {
	switch unix.Signal(signal) {
	case 0, unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH,
		unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return
	}
	p.exit(128 + int(signal))
}

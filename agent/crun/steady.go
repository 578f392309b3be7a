// SPDX-License-Identifier: Apache-2.0

package crun

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"
)

// From linux/personality.h.
const (
	addrNoRandomize = 0x0040000
	askPersonality  = 0xffffffff
)

// Steady makes a monitor whose programs have their code, libraries, stack and
// heap at the same addresses in every run. An emulator translates code for the
// addresses it is at, so only then does it find the translation of the run
// before, which is two thirds of the time of a crun call. It is not for guests
// on real processors: they gain nothing, and lose the randomness.
//
// Children inherit it until the personality is set again, which crun does for
// containers that name one.
func Steady(inner runc.ProcessMonitor) runc.ProcessMonitor { return steady{inner} }

type steady struct{ runc.ProcessMonitor }

func (s steady) Start(cmd *exec.Cmd) (c chan runc.Exit, err error) {
	err = steadily(func() (err error) {
		c, err = s.ProcessMonitor.Start(cmd)
		return err
	})
	return c, err
}

// StartLocked implements [runc.ProcessMonitor].
func (s steady) StartLocked(cmd *exec.Cmd) (c chan runc.Exit, err error) {
	return s.Start(cmd)
}

// steadily calls start on a thread whose children are not randomized.
func steadily(start func() error) error {
	runtime.LockOSThread()
	before, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, askPersonality, 0, 0)
	if errno != 0 {
		runtime.UnlockOSThread()
		return fmt.Errorf("ask for the personality of this thread: %w", errno)
	}
	if _, _, errno = unix.RawSyscall(unix.SYS_PERSONALITY, before|addrNoRandomize, 0, 0); errno != 0 {
		runtime.UnlockOSThread()
		return fmt.Errorf("turn off address randomization for a child: %w", errno)
	}
	err := start()
	if _, _, errno = unix.RawSyscall(unix.SYS_PERSONALITY, before, 0, 0); errno != 0 {
		// The thread ends with its goroutine, so that it starts nothing else.
		return errors.Join(err, fmt.Errorf("turn address randomization on again: %w", errno))
	}
	runtime.UnlockOSThread()
	return err
}

// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"
)

// Process says how a process is confined.
type Process struct {
	// Root is all that it sees of file systems. Its program must be in it, under
	// the path that the command has.
	Root *Root
	// NetNS is the path of the network namespace that it runs in; empty is the
	// caller's.
	NetNS string
	// NoNetwork gives it an empty network namespace of its own instead.
	NoNetwork bool
	// User is its user and group id, Groups are further ones.
	User   int
	Groups []int
	// Keep are the capabilities that its bounding set keeps, for a process of user 0;
	// others have none.
	Keep []uintptr
}

// Start is cmd.Start with the process confined as p says: in a root directory and in
// mount, PID, IPC and UTS namespaces of its own, without a capability that p does
// not keep, and never to get one. cmd.SysProcAttr is added to.
//
// A process inherits all this from the thread that forks it. That thread is made for
// the purpose and ends.
func Start(cmd *exec.Cmd, p Process) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWPID
	groups := make([]uint32, len(p.Groups))
	for i, g := range p.Groups {
		groups[i] = uint32(g)
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(p.User), Gid: uint32(p.User), Groups: groups}
	null, err := noStreams(cmd)
	if err != nil {
		return err
	}
	defer null.Close() // The process has a copy.
	result := make(chan error, 1)
	// It ends with the start; the caller waits.
	go onDoomedThread(func() { result <- start(cmd, p) })
	return <-result
}

// noStreams opens /dev/null for the standard streams that cmd does not name, as cmd
// itself would in the process's root, which has none. The caller closes it.
func noStreams(cmd *exec.Cmd) (*os.File, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the standard streams of a confined process: %w", err)
	}
	if cmd.Stdin == nil {
		cmd.Stdin = null
	}
	if cmd.Stdout == nil {
		cmd.Stdout = null
	}
	if cmd.Stderr == nil {
		cmd.Stderr = null
	}
	return null, nil
}

// onDoomedThread runs f on a thread that ends after it. The first thread of a process
// never ends and stands for the process in /proc, so that it is not taken.
func onDoomedThread(f func()) {
	runtime.LockOSThread() // Never unlocked: the thread ends with the goroutine.
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	// It ends with f; the caller waits.
	go func() {
		defer close(done)
		runtime.LockOSThread() // The first thread is locked to another goroutine.
		f()
	}()
	<-done
}

func start(cmd *exec.Cmd, p Process) error {
	if p.NetNS != "" {
		if err := enterNetwork(p.NetNS); err != nil {
			return err
		}
	}
	apart := unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if p.NoNetwork {
		apart |= unix.CLONE_NEWNET
	}
	if err := unix.Unshare(apart); err != nil {
		return fmt.Errorf("make namespaces for a confined process; the runtime needs CAP_SYS_ADMIN: %w: %w", err, errdefs.ErrFailedPrecondition)
	}
	if err := p.Root.enter(); err != nil {
		return err
	}
	if err := dropPrivileges(p.Keep); err != nil {
		return err
	}
	return cmd.Start()
}

func enterNetwork(path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open its network namespace: %w", err)
	}
	defer ns.Close() // Read only: nothing to lose.
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter its network namespace %s: %w", path, err)
	}
	return nil
}

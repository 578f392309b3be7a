// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TAP returns an open queue of a TAP device in a network namespace of its own,
// which the end of the test closes. The test is skipped, with the reason, where
// such a device cannot be made.
func TAP(t testing.TB) int {
	t.Helper()
	fd, err := openTAP()
	if err != nil {
		t.Skipf("no TAP device can be made (root and /dev/net/tun are needed): %v", err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// openTAP makes the device on a thread that is thrown away, and with it the
// thread's namespace.
func openTAP() (int, error) {
	type result struct {
		fd  int
		err error
	}
	made := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // Never unlocked: the thread ends with the goroutine.
		fd, err := tapHere()
		made <- result{fd, err}
	}()
	r := <-made
	return r.fd, r.err
}

func tapHere() (int, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return -1, err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	request, err := unix.NewIfreq("tap%d")
	if err != nil {
		return -1, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

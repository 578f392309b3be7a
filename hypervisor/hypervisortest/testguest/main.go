// SPDX-License-Identifier: Apache-2.0

// The testguest is PID 1 of the guest that driver tests boot. It echoes what
// it gets on the agent's port, and obeys one command line per stream on the
// console's port.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/transport"
)

func main() {
	fmt.Println("testguest: up")
	if err := serve(); err != nil {
		fmt.Println("testguest:", err)
	}
	// The end of PID 1 is a kernel panic, which the tests see.
}

func serve() error {
	for _, m := range []struct{ fstype, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := mount(m.fstype, m.fstype, m.at); err != nil {
			return err
		}
	}
	guest := transport.NewGuest(transport.GuestOptions{})
	echo, err := guest.Listen(transport.PortAgent)
	if err != nil {
		return err
	}
	go accept(echo, func(c net.Conn) { _, _ = io.Copy(c, c) })
	commands, err := guest.Listen(transport.PortConsole)
	if err != nil {
		return err
	}
	go accept(commands, answer)
	// A VM has one of the carriers; the guest ends when neither serves.
	failed := make(chan error)
	go func() { failed <- guest.ServeSerial(context.Background(), "") }()
	go func() { failed <- guest.ServeVsock(context.Background()) }()
	return errors.Join(<-failed, <-failed)
}

func mount(source, fstype, at string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, at, fstype, 0, ""); err != nil && err != unix.EBUSY {
		return fmt.Errorf("mount %s at %s: %w", fstype, at, err)
	}
	return nil
}

func accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			handle(c)
		}()
	}
}

func answer(c net.Conn) {
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	out, err := obey(strings.Fields(line))
	if err != nil {
		out = "error: " + err.Error()
	}
	_, _ = io.WriteString(c, out)
}

func obey(words []string) (string, error) {
	if len(words) == 0 {
		return "", fmt.Errorf("no command")
	}
	switch words[0] {
	case "disks":
		return list("/sys/block/vd*", "serial")
	case "nics":
		return list("/sys/class/net/eth*", "address")
	case "tags": // of shares
		return list("/sys/fs/virtiofs/*", "tag")
	case "cat":
		b, err := os.ReadFile(words[1])
		return string(b), err
	case "write": // write <path> <text>
		return "", os.WriteFile(words[1], []byte(words[2]), 0o600)
	case "mount": // mount <source> <fstype> <at>
		return "", mount(words[1], words[2], words[3])
	case "exit":
		os.Exit(1)
	case "poweroff":
		return "", unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	case "reboot":
		return "", unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	}
	return "", fmt.Errorf("unknown command %q", words[0])
}

// list prints "<attribute> <device path in sysfs>" for what matches.
func list(pattern, attribute string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, f := range found {
		value, err := os.ReadFile(filepath.Join(f, attribute))
		if err != nil {
			return "", err
		}
		place, err := filepath.EvalSymlinks(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s %s\n", strings.TrimSpace(string(value)), place)
	}
	return out.String(), nil
}

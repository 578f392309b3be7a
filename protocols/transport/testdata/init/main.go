// SPDX-License-Identifier: Apache-2.0

// Command init is the only process of the VM that TestSerialInVM boots. It
// serves two ports: 1 echoes, 2 counts what it gets and answers the number.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/transport"
)

func main() {
	err := run()
	fmt.Println("init:", err)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

func run() error {
	for _, fs := range [][2]string{{"devtmpfs", "/dev"}, {"sysfs", "/sys"}, {"proc", "/proc"}} {
		if err := os.MkdirAll(fs[1], 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fs[0], fs[1], fs[0], 0, ""); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", fs[1], err)
		}
	}
	g := transport.NewGuest(transport.GuestOptions{Report: func(err error) { fmt.Println("guest:", err) }})
	for port, handle := range map[uint32]func(net.Conn){1: echo, 2: count} {
		l, err := g.Listen(port)
		if err != nil {
			return err
		}
		go serve(l, handle)
	}
	return g.ServeSerial(context.Background(), "")
}

func serve(l net.Listener, handle func(net.Conn)) {
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

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func count(c net.Conn) {
	n, err := io.Copy(io.Discard, c)
	if err == nil {
		_, _ = fmt.Fprintf(c, "%d", n)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// try does one thing for each word, KIND:WHAT, and prints how it ended: "ok", or the name of the error.
func try(words []string) error {
	for _, word := range words {
		kind, what, _ := strings.Cut(word, ":")
		call := attempts()[kind]
		if call == nil {
			return fmt.Errorf("try %s: there is no such attempt", word)
		}
		fmt.Println(word, named(call(what)))
	}
	return nil
}

func attempts() map[string]func(string) error {
	return map[string]func(string) error{
		"read":   func(path string) error { return openAnd(path, unix.O_RDONLY, unix.Read) },
		"write":  func(path string) error { return openAnd(path, unix.O_WRONLY, unix.Write) },
		"open":   func(path string) error { return openAnd(path, unix.O_RDWR, nil) },
		"create": func(path string) error { return openAnd(path, unix.O_WRONLY|unix.O_CREAT, nil) },
		"mkdir":  func(path string) error { return unix.Mkdir(path, 0o777) },
		"remove": os.Remove,
		"chmod":  func(path string) error { return unix.Chmod(path, 0o600) },
		"chown":  func(path string) error { return unix.Lchown(path, 1, 1) },
		"xattr":  func(path string) error { return unix.Setxattr(path, "user.probe", []byte("x"), 0) },
		"link":   func(path string) error { return unix.Link(path, path+".linked") },
		"fifo":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"device": func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) },
		"tmpfile": func(path string) error {
			return openAnd(path, unix.O_RDWR|unix.O_TMPFILE, nil)
		},
		"mount":   func(path string) error { return unix.Mount("none", path, "tmpfs", 0, "") },
		"remount": func(path string) error { return unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND, "") },
		"unmount": func(path string) error { return unix.Unmount(path, unix.MNT_DETACH) },
		"chroot":  unix.Chroot,
		"host":    func(name string) error { return unix.Sethostname([]byte(name)) },
		"socket":  trySocket,
		"connect": tryConnect,
		"call":    tryCall,
		"setuid":  tryUser,
		"nice": func(to string) error {
			return withNumber(to, func(n int) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, n) })
		},
		"hide": hidden,
	}
}

// openAnd opens the path and reads or writes one byte when a call is given.
func openAnd(path string, flags int, then func(int, []byte) (int, error)) error {
	fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return err
	}
	if then != nil {
		_, err = then(fd, []byte("\n"))
	}
	return errors.Join(err, unix.Close(fd))
}

// trySocket makes a socket: raw, packet or netlink.
func trySocket(kind string) error {
	family, style, protocol := unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP
	switch kind {
	case "packet":
		family, protocol = unix.AF_PACKET, 0
	case "netlink":
		family, protocol = unix.AF_NETLINK, unix.NETLINK_ROUTE
	case "ping": // needs no privilege for the groups of net.ipv4.ping_group_range
		style = unix.SOCK_DGRAM
	case "vsock":
		family, style, protocol = unix.AF_VSOCK, unix.SOCK_STREAM, 0
	}
	fd, err := unix.Socket(family, style, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// tryConnect connects to a unix socket.
func tryConnect(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Connect(fd, &unix.SockaddrUnix{Name: path}), unix.Close(fd))
}

// tryCall makes a system call, by its number, with arguments that no kernel accepts: what forbids the call says so
// before they are looked at.
func tryCall(number string) error {
	return withNumber(number, func(n int) error {
		const no = ^uintptr(0)
		if _, _, errno := unix.Syscall6(uintptr(n), no, no, no, no, no, no); errno != 0 {
			return errno
		}
		return nil
	})
}

// tryUser becomes another user in another process: Go cannot change one thread's.
func tryUser(user string) error {
	return withNumber(user, func(n int) error { return commandAs(n, "/bin/true").Run() })
}

func commandAs(user int, words ...string) *exec.Cmd {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	return cmd
}

// as runs a command as another user: UID WORD...
func as(args []string) error {
	if len(args) < 2 {
		return errors.New("as needs a user and a command")
	}
	return withNumber(args[0], func(n int) error {
		cmd := commandAs(n, args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return cmd.Run()
	})
}

// hidden is nil when nothing is to be learnt from the path: it is absent, an empty directory, or reads as empty. A
// kernel that lacks a file hides it as well as a mask does.
func hidden(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err == nil && len(entries) > 0 {
			err = errors.New("it shows " + entries[0].Name())
		}
		return err
	}
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		err = errors.New("it can be read")
	}
	return err
}

func withNumber(text string, call func(int) error) error {
	number, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	return call(number)
}

// named is the kernel's name of an error, which does not depend on the path or the library: "EPERM".
func named(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno) && errno == 0:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// SPDX-License-Identifier: Apache-2.0

// Command probe runs inside the containers of the integration tests and does what busybox cannot: SysV shared memory,
// servers and clients for both address families, memory use, being a pod's pause process, telling what a process sees of
// itself, and standing in for the web server and the set-user-id program of critest's images.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	var err error
	if address, serving := webAddress(); serving {
		err = serveWeb(address)
	} else {
		err = run(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// anyWords is for commands that take as many words as they are given.
const anyWords = -1

func run(args []string) error {
	commands := map[string]struct {
		words int
		call  func([]string) error
	}{
		"pause":    {0, pause},      // waits for SIGTERM or SIGINT
		"listen":   {2, listen},     // ADDRESS TEXT: answers every TCP connection with TEXT
		"dial":     {1, dial},       // ADDRESS: prints what a TCP connection says
		"echo":     {1, echo},       // ADDRESS: sends back what TCP connections send
		"exchange": {2, exchange},   // ADDRESS BYTES: has that much sent back and prints its SHA-256
		"shm-put":  {2, shmPut},     // KEY TEXT: makes a SysV shared memory segment
		"shm-get":  {1, shmGet},     // KEY: prints the text in it
		"eat":      {1, eat},        // BYTES: uses that much memory, then waits as pause does
		"web":      {1, web},        // ADDRESS: serves a page by HTTP, looking like nginx
		"euid":     {0, euid},       // prints the effective user
		"offloads": {1, offloads},   // LINK: prints what the link leaves to its device
		"see":      {anyWords, see}, // PART...: prints what it sees of itself
		"list":     {1, list},       // DIRECTORY: prints kind, mode, owner of what is in it
		"try":      {anyWords, try}, // KIND:WHAT...: does that and prints how it ended
		"as":       {anyWords, as},  // UID WORD...: runs a command as that user
	}
	if len(args) == 0 {
		return errors.New("no command was given")
	}
	command, known := commands[args[0]]
	if !known || command.words != anyWords && len(args) != command.words+1 {
		return fmt.Errorf("unknown command or wrong number of words: %s", strings.Join(args, " "))
	}
	return command.call(args[1:])
}

func pause([]string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	fmt.Println("waiting") // a signal that comes earlier does what the Go runtime likes
	<-ctx.Done()
	return nil
}

func listen(args []string) error {
	server, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening on", args[0])
	for {
		conn, err := server.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintln(conn, args[1])
		if err := conn.Close(); err != nil {
			return err
		}
	}
}

func dial(args []string) error {
	conn, err := net.DialTimeout("tcp", args[0], 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, conn)
	return err
}

const shmSize = 4096

func shmPut(args []string) error {
	memory, err := shmAttach(args[0], unix.IPC_CREAT|0o600)
	if err != nil {
		return err
	}
	copy(memory, args[1])
	return unix.SysvShmDetach(memory)
}

func shmGet(args []string) error {
	memory, err := shmAttach(args[0], 0)
	if err != nil {
		return err
	}
	text, _, _ := strings.Cut(string(memory), "\x00")
	fmt.Println(text)
	return unix.SysvShmDetach(memory)
}

func shmAttach(key string, flags int) ([]byte, error) {
	number, err := strconv.Atoi(key)
	if err != nil {
		return nil, fmt.Errorf("the key of a segment is a number: %w", err)
	}
	id, err := unix.SysvShmGet(number, shmSize, flags)
	if err != nil {
		return nil, fmt.Errorf("get the segment with key %d: %w", number, err)
	}
	memory, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("attach the segment with key %d: %w", number, err)
	}
	return memory, nil
}

func eat(args []string) error {
	size, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("the size to use is a number of bytes: %w", err)
	}
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map memory: %w", err)
	}
	for at := 0; at < size; at += os.Getpagesize() {
		memory[at] = 1
	}
	fmt.Println("ate", size)
	return pause(nil)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// send writes zeros to a server, closes its side, and waits for the server to close the other.
func send(args []string) error {
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("the size is a number of bytes: %w", err)
	}
	conn, err := net.DialTimeout("tcp", args[0], 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	begin := time.Now()
	if err := writeZeros(conn, size); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return err
	}
	return printRate(size, time.Since(begin))
}

// ask exchanges bytes with a server that echoes them.
func ask(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("the count of exchanges is a number: %w", err)
	}
	conn, err := net.DialTimeout("tcp", args[0], 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	one := make([]byte, 1)
	begin := time.Now()
	for range count {
		if _, err := conn.Write(one); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, one); err != nil {
			return err
		}
	}
	return printTime(time.Microsecond, time.Since(begin)/time.Duration(count))
}

func write(args []string) error {
	size, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("the size is a number of bytes: %w", err)
	}
	return writeZeros(os.Stdout, size)
}

func writeZeros(to io.Writer, size int64) error {
	zeros := make([]byte, 64<<10)
	for size > 0 {
		n, err := to.Write(zeros[:min(size, int64(len(zeros)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// echo sends back to every TCP connection what comes over it.
func echo(args []string) error {
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
		go func() {
			defer conn.Close()
			if _, err := io.Copy(conn, conn); err != nil {
				fmt.Fprintln(os.Stderr, "probe:", err)
			}
		}()
	}
}

// exchange sends random bytes to a server that echoes them and compares what comes back at the same time.
func exchange(args []string) error {
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("the size to send is a number of bytes: %w", err)
	}
	conn, err := net.DialTimeout("tcp", args[0], 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent, came := sha256.New(), sha256.New()
	failed := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.MultiWriter(conn, sent), rand.Reader, size)
		failed <- err
	}()
	n, err := io.CopyN(came, conn, size)
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, size, err)
	}
	if err := <-failed; err != nil {
		return err
	}
	if !bytes.Equal(sent.Sum(nil), came.Sum(nil)) {
		return errors.New("other bytes came back than were sent")
	}
	fmt.Printf("%x\n", came.Sum(nil))
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The greeting that opens a stream is the one of the VMMs with a unix-socket
// vsock: the host writes "CONNECT <port>\n", the other end answers
// "OK <number>\n", or closes the stream when nothing listens on that port.
const (
	verbConnect = "CONNECT"
	verbOK      = "OK"
	// maxGreeting bounds a greeting line with its newline; the longest honest
	// one has 19 bytes.
	maxGreeting = 64
)

// errRefused says that the far end closed the stream instead of greeting.
var errRefused = errors.New("connection refused")

// refused is the error of a port that nobody listens on.
func refused(port uint32) error {
	return fmt.Errorf("%w: nothing listens on guest port %d", errRefused, port)
}

// greet asks for a guest port on a fresh stream.
func greet(s io.ReadWriter, port uint32) error {
	if err := writeLine(s, verbConnect, port); err != nil {
		return fmt.Errorf("ask for guest port %d: %w", port, err)
	}
	line, err := readLine(s)
	if errors.Is(err, io.EOF) && line == "" {
		return refused(port)
	}
	if err != nil {
		return fmt.Errorf("read the answer to %s %d: %w", verbConnect, port, err)
	}
	// The number after OK is the far end's own: VMMs put the host's port there.
	if _, err := parseLine(line, verbOK); err != nil {
		return fmt.Errorf("read the answer to %s %d: %w", verbConnect, port, err)
	}
	return nil
}

// readConnect reads the host's half of the greeting and returns the port it
// asks for.
func readConnect(s io.Reader) (uint32, error) {
	line, err := readLine(s)
	if err != nil {
		return 0, fmt.Errorf("read the greeting of a stream: %w", err)
	}
	return parseLine(line, verbConnect)
}

func writeLine(w io.Writer, verb string, n uint32) error {
	_, err := io.WriteString(w, verb+" "+strconv.FormatUint(uint64(n), 10)+"\n")
	return err
}

// readLine reads up to a newline, which it drops, and not a byte further: what
// follows belongs to the stream's user. It returns what it has with an error.
func readLine(r io.Reader) (string, error) {
	var line [maxGreeting]byte
	for n := range line {
		if _, err := io.ReadFull(r, line[n:n+1]); err != nil {
			return string(line[:n]), err
		}
		if line[n] == '\n' {
			return string(line[:n]), nil
		}
	}
	return "", fmt.Errorf("the greeting is longer than %d bytes", maxGreeting)
}

// parseLine takes "<verb> <number>" apart: one space, a decimal number of 32
// bits without sign or leading zeros, nothing else.
func parseLine(line, verb string) (uint32, error) {
	digits, ok := strings.CutPrefix(line, verb+" ")
	if !ok {
		return 0, fmt.Errorf("the greeting %q does not begin with %q", line, verb+" ")
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, fmt.Errorf("the greeting %q does not end in a port number", line)
	}
	return uint32(n), nil
}

// SPDX-License-Identifier: Apache-2.0

// Command load runs inside the containers of the benchmarks. It does one kind of work, times it there, and prints one
// number per line: megabytes per second, milliseconds or microseconds, as each command says.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	commands := map[string]struct {
		words int
		call  func([]string) error
	}{
		"wait":  {0, wait},    // until a signal ends it
		"read":  {1, read},    // PATH: reads a file; MB/s
		"copy":  {1, copying}, // BYTES: copies that much memory; MB/s of the fastest of several ways
		"files": {2, files},   // DIRECTORY COUNT: creates, lists and removes small files; three lines of ms
		"churn": {1, churn},   // BYTES: writes to that much memory and gives it back; ms
		"send":  {2, send},    // ADDRESS BYTES: one TCP stream to a server that acknowledges the end; MB/s
		"ask":   {2, ask},     // ADDRESS COUNT: a byte there and back, one after the other; µs each
		"write": {1, write},   // BYTES: writes zeros to standard output; nothing besides
	}
	if len(args) == 0 {
		return errors.New("no command was given")
	}
	command, known := commands[args[0]]
	if !known || len(args) != command.words+1 {
		return fmt.Errorf("unknown command or wrong number of words: %s", strings.Join(args, " "))
	}
	return command.call(args[1:])
}

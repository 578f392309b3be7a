// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func wait([]string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
	return nil
}

// churn writes to memory and gives it back, as a job's process does that comes and goes.
func churn(args []string) error {
	size, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("the size is a number of bytes: %w", err)
	}
	begin := time.Now()
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map %d bytes: %w", size, err)
	}
	for at := 0; at < size; at += os.Getpagesize() {
		memory[at] = 1
	}
	if err := unix.Munmap(memory); err != nil {
		return fmt.Errorf("give %d bytes back: %w", size, err)
	}
	return printTime(time.Millisecond, time.Since(begin))
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A guest in which no container runs yet is struck in its memory, which the host can write through the VMM's process: the
// pages of the agent's binary are found by what is in them, and overwritten. The agent, process 1, dies of that at its
// next steps, and the guest's kernel panics for want of it.

const pageSize = 4096

// wreckAgent waits until the guest has the agent in its memory.
func wreckAgent(ctx context.Context, c *cycle) error {
	pid, err := c.await(ctx, c.vmmPID)
	if err != nil {
		return err
	}
	agent, err := os.ReadFile(filepath.Join(c.node.Out, "bin", "kata-agent"))
	if err != nil {
		return fmt.Errorf("look for the agent's pages: %w", err)
	}
	pages := pagesOf(agent)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for all := 0; ; {
		n, err := wreck(pid, pages)
		switch all += n; {
		case all > wreckedEnough:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-c.over:
			return errNoTarget
		case <-ctx.Done():
			return errNoTarget
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// wreckedEnough is the number of pages without which the agent does not go on. A guest that was cloned has let go of
// most of those that its agent needed only to begin.
const wreckedEnough = 50

// pagesOf are the pages of a file that are like no others.
func pagesOf(file []byte) map[[pageSize]byte]bool {
	pages := map[[pageSize]byte]bool{}
	for ; len(file) >= pageSize; file = file[pageSize:] {
		if page := [pageSize]byte(file); bytes.Count(page[:], []byte{0}) < pageSize/2 {
			pages[page] = true
		}
	}
	return pages
}

// wreck overwrites the pages wherever they are in the guest's memory, and returns how many there were.
func wreck(pid int, pages map[[pageSize]byte]bool) (wrecked int, err error) {
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return 0, errNoTarget // it is ending
	}
	defer memory.Close()
	ranges, err := guestMemory(pid)
	if err != nil {
		return 0, err
	}
	rubbish := bytes.Repeat([]byte{0xf4}, pageSize) // HLT, which a process may not
	block := make([]byte, 1<<20)
	for _, r := range ranges {
		for at := r[0]; at < r[1]; at += int64(len(block)) {
			n, err := memory.ReadAt(block[:min(int64(len(block)), r[1]-at)], at)
			if err != nil {
				break // the mapping is gone, or the process
			}
			for page := 0; page+pageSize <= n; page += pageSize {
				if !pages[[pageSize]byte(block[page:])] {
					continue
				}
				if _, err := memory.WriteAt(rubbish, at+int64(page)); err == nil {
					wrecked++
				}
			}
		}
	}
	return wrecked, nil
}

// guestMemory are the ranges of a VMM's addresses that are large enough for the memory of a guest.
func guestMemory(pid int) (ranges [][2]int64, err error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, errNoTarget
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			continue
		}
		if strings.HasPrefix(mode, "rw") && to-from >= 64<<20 {
			ranges = append(ranges, [2]int64{from, to})
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errNoTarget
	}
	return ranges, nil
}

// SPDX-License-Identifier: Apache-2.0

package guestos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/device"
)

// System is the guest's hardware as sysfs shows it.
type System struct {
	// Sys is the mount point of sysfs.
	Sys string
	Hub *device.Hub
}

func (s System) cpus() string   { return filepath.Join(s.Sys, "devices/system/cpu") }
func (s System) memory() string { return filepath.Join(s.Sys, "devices/system/memory") }

// OnlineCPUs turns CPUs on that were plugged in, at most n of them, 0 for all
// there are. With wait it waits until n have appeared, as long as ctx lasts.
func (s System) OnlineCPUs(ctx context.Context, n int, wait bool) error {
	online := 0
	_, err := device.Await(ctx, s.Hub, func() (int, error) {
		done, err := online1(s.cpus(), "cpu[0-9]*", n-online, n == 0)
		online += done
		if err == nil && wait && online < n {
			err = fmt.Errorf("%d of %d CPUs have appeared: %w", online, n, os.ErrNotExist)
		}
		return online, err
	})
	if err != nil {
		return fmt.Errorf("turn on CPUs: %w", err)
	}
	return nil
}

// OnlineMemory turns on all memory that was plugged in. It waits until the guest has
// mib MiB, 0 for what there is, as long as ctx lasts.
func (s System) OnlineMemory(ctx context.Context, mib uint64) error {
	_, err := device.Await(ctx, s.Hub, func() (int, error) {
		if err := s.hasMemory(mib); err != nil {
			return 0, err
		}
		// The kernel, which turns memory on by itself, has a write wait until
		// it is through.
		return online1(s.memory(), "memory[0-9]*", 0, true)
	})
	if err != nil {
		return fmt.Errorf("turn on memory: %w", err)
	}
	return nil
}

// GrowRun gives /run, which has what containers write, the half of the guest's
// memory that it has in a guest that booted with as much.
func GrowRun() error {
	if err := unix.Mount("", "/run", "", unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV, "size=50%"); err != nil {
		return fmt.Errorf("give /run its part of more memory: %w", err)
	}
	return nil
}

// hasMemory is fs.ErrNotExist as long as the kernel has not found mib MiB. It counts
// blocks, the last of which may be less than whole. Each of them brings an event, so
// that it looks into their directories only once there are enough.
func (s System) hasMemory(mib uint64) error {
	if mib == 0 {
		return nil
	}
	size, err := s.MemoryBlock()
	if err != nil {
		return err
	}
	if size == 0 {
		return fmt.Errorf("the guest's kernel takes no memory while it runs: %w", errdefs.ErrNotImplemented)
	}
	for _, pattern := range []string{"memory[0-9]*", "memory[0-9]*/online"} {
		found, err := filepath.Glob(filepath.Join(s.memory(), pattern))
		if err != nil {
			return fmt.Errorf("list the guest's memory: %w", err)
		}
		if have := uint64(len(found)) * size >> 20; have < mib {
			return fmt.Errorf("%d of %d MiB have appeared: %w", have, mib, os.ErrNotExist)
		}
	}
	return nil
}

// online1 writes the online files that say 0, at most limit of them or all.
func online1(dir, pattern string, limit int, all bool) (int, error) {
	files, err := filepath.Glob(filepath.Join(dir, pattern, "online"))
	if err != nil {
		return 0, fmt.Errorf("list what can be turned on: %w", err)
	}
	done := 0
	for _, f := range files {
		if !all && done >= limit {
			break
		}
		state, err := os.ReadFile(f)
		if err != nil || strings.TrimSpace(string(state)) != "0" {
			continue
		}
		if err := os.WriteFile(f, []byte("1"), 0); err != nil {
			return done, fmt.Errorf("turn on %s: %w", filepath.Base(filepath.Dir(f)), err)
		}
		done++
	}
	return done, nil
}

// MemoryBlock returns the size in bytes of the blocks in which memory is turned
// on; 0 when the kernel cannot.
func (s System) MemoryBlock() (uint64, error) {
	data, err := os.ReadFile(filepath.Join(s.memory(), "block_size_bytes"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the size of memory blocks: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("read the size of memory blocks: %w", err)
	}
	return n, nil
}

// ProbeSupported reports whether the kernel must be told of plugged memory.
func (s System) ProbeSupported() bool {
	_, err := os.Stat(filepath.Join(s.memory(), "probe"))
	return err == nil
}

// Probe tells the kernel of memory plugged at the addresses.
func (s System) Probe(addresses []uint64) error {
	if !s.ProbeSupported() {
		return fmt.Errorf("the guest's kernel finds plugged memory by itself and takes no addresses: %w", errdefs.ErrNotImplemented)
	}
	for _, a := range addresses {
		if err := os.WriteFile(filepath.Join(s.memory(), "probe"), []byte(fmt.Sprintf("%#x", a)), 0); err != nil {
			return fmt.Errorf("tell the kernel of memory at %#x: %w", a, err)
		}
	}
	return nil
}

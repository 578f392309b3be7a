// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

const (
	stdioRate = "standard output of a process"
	stdioCPU  = "standard output: CPU of shim and VMM"
)

const written = 256 << 20

// stdio has a process write to its standard output what ctr reads and throws away.
func stdio(ctx context.Context, b *bench) error {
	for range max(1, b.runs/3) {
		for _, s := range b.shims() {
			if err := b.stdio(ctx, s); err != nil {
				return fmt.Errorf("with %s: %w", s.handler, err)
			}
		}
	}
	return nil
}

func (b *bench) stdio(ctx context.Context, s side) (err error) {
	const name = "stdio"
	_, err = b.node.Ctr(ctx, b.ctrRun(s, "run", "--detach", "--snapshotter", "erofs", images.Bench, name, "load", "wait")...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.removeOfCtr(ctx, name)) }()
	before, err := b.cpu()
	if err != nil {
		return err
	}
	begin := time.Now()
	script := fmt.Sprintf("ctr task exec --exec-id writer %s load write %d | wc -c", name, written)
	said, err := b.node.Runner().Run(ctx, "sh", "-c", script)
	if err != nil {
		return err
	}
	if strings.TrimSpace(said) != strconv.Itoa(written) {
		return fmt.Errorf("a process wrote %d bytes, and ctr printed %s", written, said)
	}
	took := time.Since(begin).Seconds()
	after, err := b.cpu()
	if err != nil {
		return err
	}
	s.samples.add(stdioRate, written/1e6/took)
	s.samples.add(stdioCPU, (after-before)/(written/1e9))
	return nil
}

// cpu are the CPU seconds that the shims and VMMs on the node have used.
func (b *bench) cpu() (float64, error) {
	processes, err := b.node.PodProcesses()
	if err != nil {
		return 0, err
	}
	var ticks float64
	for _, p := range processes {
		used, err := cpuTicks(p)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended since the processes were listed
		}
		if err != nil {
			return 0, err
		}
		ticks += used
	}
	const perSecond = 100 // USER_HZ, which is 100 on every architecture Linux has today (time(7))
	return ticks / perSecond, nil
}

// cpuTicks are fields utime and stime of /proc/<pid>/stat (proc_pid_stat(5)).
func cpuTicks(p node.Process) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %v: %w", p, err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the CPU time of process %v: its stat is %q", p, text)
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %v: %w", p, err)
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %v: %w", p, err)
	}
	return user + system, nil
}

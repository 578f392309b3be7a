// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/kubelet"
	"github.com/katapod/katapod/integration/node"
	"github.com/katapod/katapod/sandbox/sizing"
)

const overheadName = "memory of a busy pod beside its guest's"

// busyMemory is the memory limit of the pod whose overhead is measured, and busyExecs how often something runs in it:
// often enough that the translator's code has all the room that it takes.
const (
	busyMemory = 512 << 20
	busyExecs  = 30
)

// overhead measures what a pod takes beside its guest's memory when it has done all kinds of work, a shared directory
// included. The command line may name a file for it, which is how package sizing gets its figure; runc has none.
func overhead(ctx context.Context, b *bench) (err error) {
	dir, err := os.MkdirTemp("", "katapod-bench-")
	if err != nil {
		return fmt.Errorf("make a directory to share: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := b.Start(ctx, "kata", "bench", waiting([]*cri.Mount{{HostPath: dir, ContainerPath: "/mnt"}},
		&cri.LinuxContainerResources{MemoryLimitInBytes: busyMemory}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove(ctx, p)) }()
	if err := b.keepBusy(ctx, p); err != nil {
		return err
	}
	m, err := b.takenBesides()
	if err != nil {
		return err
	}
	if m.IdleMilliCPU, err = b.idleCPU(ctx); err != nil {
		return err
	}
	info, err := b.node.Info(p.ID)
	if err != nil {
		return err
	}
	m.VMM, m.Accelerator = info["hypervisor"], info["accelerator"]
	m.VCPUs, err = strconv.Atoi(info["vcpus"])
	if err == nil {
		m.MemoryMiB, err = strconv.Atoi(info["memory_mib"])
	}
	if err != nil {
		return fmt.Errorf("the size of the pod's VM: %w", err)
	}
	b.ours.add(overheadName, float64(m.Total())/1e6)
	return keepOverhead(b.overheadFile, m)
}

func (b *bench) keepBusy(ctx context.Context, p kubelet.Pod) error {
	commands := [][]string{
		{"load", "churn", strconv.Itoa(busyMemory * 9 / 10)},
		{"load", "files", "/mnt", "2000"},
		{"load", "files", "/tmp", "500"},
		{"load", "write", strconv.Itoa(1 << 20)},
	}
	for range busyExecs {
		commands = append(commands, []string{"cat", "/proc/meminfo"})
	}
	for _, c := range commands {
		if _, err := b.Exec(ctx, p, c...); err != nil {
			return err
		}
	}
	return nil
}

// takenBesides adds up the pod's processes and what the host's kernel has for them.
func (b *bench) takenBesides() (sizing.Measured, error) {
	var m sizing.Measured
	processes, err := b.node.PodProcesses()
	if err != nil {
		return m, err
	}
	used, err := node.MemoryOf(processes)
	if err != nil {
		return m, err
	}
	m.Shim, m.Process, m.Helpers = used.Shim, used.VMM, used.Helpers
	for _, p := range processes {
		if m.Kernel, err = add(m.Kernel, p.PID, pageTables); err != nil {
			return m, err
		}
		guest, err := guestPages(p.PID)
		if err != nil {
			return m, err
		}
		if strings.HasPrefix(p.Name(), "qemu-system") {
			m.Process -= guest
		} else {
			m.Helpers -= guest // virtiofsd maps it as well
		}
	}
	return m, nil
}

func add(sum int64, pid int, part func(int) (int64, error)) (int64, error) {
	more, err := part(pid)
	return sum + more, err
}

// guestPages are what a process has of the guest's memory, as proportional set size in bytes: mappings of a memfd or
// of a template's file.
func guestPages(pid int) (sum int64, err error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory map of process %d: %w", pid, err)
	}
	defer file.Close()
	guests := false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) > 1 && strings.Contains(fields[0], "-") && !strings.HasSuffix(fields[0], ":"):
			guests = len(fields) > 5 && (strings.HasPrefix(fields[5], "/memfd:") || filepath.Base(fields[5]) == "memory")
		case guests && len(fields) > 1 && fields[0] == "Pss:":
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the memory map of process %d: %w", pid, err)
			}
			sum += kib << 10
		}
	}
	return sum, nil
}

// pageTables is VmPTE of proc_pid_status(5), in bytes.
func pageTables(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmPTE:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, nil // a process that has ended
}

// idleCPU is the CPU time of shim, VMM and helpers while nobody asks anything of the pod, in thousandths of a CPU.
func (b *bench) idleCPU(ctx context.Context) (float64, error) {
	before, err := b.cpu()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := waitIdle(ctx); err != nil {
		return 0, err
	}
	after, err := b.cpu()
	return (after - before) / time.Since(begin).Seconds() * 1000, err
}

// keepOverhead writes the figure to the file of the command line, beside those of other VMMs and accelerators.
func keepOverhead(file string, m sizing.Measured) error {
	if file == "" {
		return nil
	}
	var all []sizing.Measured
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the overheads that were measured before: %w", err)
	}
	kept := []sizing.Measured{m}
	for _, other := range all {
		if other.VMM != m.VMM || other.Accelerator != m.Accelerator {
			kept = append(kept, other)
		}
	}
	if text, err = json.MarshalIndent(kept, "", "  "); err != nil {
		return fmt.Errorf("write the overhead: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the overhead: %w", err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Memory is what the host processes of pods use, as proportional set size (memory shared by n processes counts 1/n
// for each) in bytes. Source: Linux Documentation/filesystems/proc.rst, smaps_rollup.
type Memory struct {
	Shim    int64
	VMM     int64
	Helpers int64 // virtiofsd and the like
	Workers int64 // runc: the processes of the containers, pause included
}

// MemoryOf adds up the processes by what they are. Processes it does not know count as workers, and those that have
// ended as nothing.
func MemoryOf(processes []Process) (Memory, error) {
	var m Memory
	for _, p := range processes {
		pss, err := pssOf(p.PID)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended since the processes were listed
		}
		if err != nil {
			return Memory{}, err
		}
		name := p.Name()
		switch {
		case strings.HasPrefix(name, "containerd-shim"):
			m.Shim += pss
		case strings.HasPrefix(name, "qemu-system"):
			m.VMM += pss
		case strings.Contains(name, "virtiofsd"):
			m.Helpers += pss
		default:
			m.Workers += pss
		}
	}
	return m, nil
}

func pssOf(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "Pss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no Pss line in %s", path)
}

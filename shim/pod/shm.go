// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// shmSize is the size in bytes of what the engine mounts at /dev/shm: the size
// option of a tmpfs, or the size of the host's file system that is bound there;
// 0 when neither is to be had.
func shmSize(mounts []specs.Mount) uint64 {
	for _, m := range mounts {
		if m.Destination != "/dev/shm" {
			continue
		}
		if m.Type == "tmpfs" {
			return sizeOption(m.Options)
		}
		var fs unix.Statfs_t
		if err := unix.Statfs(m.Source, &fs); err != nil || fs.Type != unix.TMPFS_MAGIC {
			return 0
		}
		return fs.Blocks * uint64(fs.Bsize)
	}
	return 0
}

// sizeOption reads size=N of tmpfs(5), with the suffixes k, m and g. A
// percentage is of the host's memory and says nothing about a guest's.
func sizeOption(options []string) uint64 {
	for _, option := range options {
		text, found := strings.CutPrefix(option, "size=")
		if !found {
			continue
		}
		unit := uint64(1)
		for suffix, size := range map[string]uint64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
			if number, found := strings.CutSuffix(strings.ToLower(text), suffix); found {
				text, unit = number, size
			}
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n > math.MaxUint64/unit {
			return 0
		}
		return n * unit
	}
	return 0
}

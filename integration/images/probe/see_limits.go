// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// limit is a setting of the cgroup as the container's own /sys/fs/cgroup shows it. Versions 1 and 2 name and write
// the same thing differently (Linux Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst).
type limit struct{ name, v1, v2 string }

// seeLimits prints the limits by their values: an absent limit is "max" in either version, and version 1 writes the
// largest number of pages for it.
func seeLimits() error {
	for _, l := range []limit{
		{"memory", "memory/memory.limit_in_bytes", "memory.max"},
		{"processes", "pids/pids.max", "pids.max"},
		{"cpus", "cpuset/cpuset.cpus", "cpuset.cpus.effective"},
		{"memory nodes", "cpuset/cpuset.mems", "cpuset.mems.effective"},
	} {
		value, err := l.read()
		if err != nil {
			return err
		}
		fmt.Println(l.name, value)
	}
	quota, err := quotaOfPeriod()
	fmt.Println("cpu quota and period", quota)
	return err
}

func (l limit) read() (string, error) {
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		return firstLine(l.v2)
	}
	value, err := firstLine(l.v1)
	if number, parse := strconv.ParseUint(value, 10, 64); parse == nil && number > 1<<60 {
		value = "max"
	}
	return value, err
}

// quotaOfPeriod is "quota period" as version 2 writes it.
func quotaOfPeriod() (string, error) {
	both, err := firstLine("cpu.max")
	if !errors.Is(err, fs.ErrNotExist) {
		return both, err
	}
	quota, err := firstLine("cpu/cpu.cfs_quota_us")
	if err != nil {
		return "", err
	}
	period, err := firstLine("cpu/cpu.cfs_period_us")
	if quota == "-1" {
		quota = "max"
	}
	return quota + " " + period, err
}

const cgroups = "/sys/fs/cgroup"

func firstLine(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(cgroups, name))
	line, _, _ := strings.Cut(string(text), "\n")
	return line, err
}

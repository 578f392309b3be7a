// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/katapod/katapod/agent/cgroup"
	"github.com/katapod/katapod/protocols/agentpb"
)

// hugepages reads hugetlb.<size>.current and what belongs to it. A size that the cgroup
// does not count is left out.
func (r *Reader) hugepages(d cgroup.Dir, out *agentpb.CgroupStats) error {
	sizes, err := r.sizes()
	if err != nil {
		return err
	}
	out.HugetlbStats = map[string]*agentpb.HugetlbStats{}
	for _, size := range sizes {
		events, err := d.Keyed("hugetlb." + size + ".events")
		if err != nil {
			return err
		}
		if len(events) == 0 {
			continue
		}
		usage, err := d.Uint("hugetlb." + size + ".current")
		if err != nil {
			return err
		}
		out.HugetlbStats[size] = &agentpb.HugetlbStats{Usage: usage, Failcnt: events["max"]}
	}
	return nil
}

// pageSizes lists the kernel's sizes of huge pages: hugepages-<KiB>kB in sysfs is 64KB,
// 2MB or 1GB to a cgroup (Documentation/admin-guide/mm/hugetlbpage.rst and
// cgroup-v2.rst of Linux). A kernel without huge pages has none.
func pageSizes(sys string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(sys, "kernel/mm/hugepages"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the sizes of huge pages: %w", err)
	}
	var sizes []string
	for _, e := range entries {
		text := strings.TrimSuffix(strings.TrimPrefix(e.Name(), "hugepages-"), "kB")
		kib, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list the sizes of huge pages: read %s: %w", e.Name(), err)
		}
		sizes = append(sizes, cgroupSize(kib))
	}
	return sizes, nil
}

// cgroupSize is how cgroups name a size.
func cgroupSize(kib uint64) string {
	switch {
	case kib >= 1<<20:
		return strconv.FormatUint(kib>>20, 10) + "GB"
	case kib >= 1<<10:
		return strconv.FormatUint(kib>>10, 10) + "MB"
	}
	return strconv.FormatUint(kib, 10) + "KB"
}

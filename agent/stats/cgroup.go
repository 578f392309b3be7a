// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/katapod/katapod/agent/cgroup"
	"github.com/katapod/katapod/protocols/agentpb"
)

// Reader reads the numbers of cgroups. It is safe for concurrent use.
type Reader struct {
	// sizes are those of the kernel's huge pages, as cgroups name them.
	sizes func() ([]string, error)
}

// NewReader returns a reader for a kernel whose sysfs is at sys.
func NewReader(sys string) *Reader {
	return &Reader{sizes: sync.OnceValues(func() ([]string, error) { return pageSizes(sys) })}
}

// Cgroup reads the numbers of one cgroup. A controller that is off leaves its
// numbers zero.
func (r *Reader) Cgroup(d cgroup.Dir) (*agentpb.CgroupStats, error) {
	out := &agentpb.CgroupStats{}
	for _, read := range []func(cgroup.Dir, *agentpb.CgroupStats) error{cpu, memory, pids, blockIO, r.hugepages} {
		if err := read(d, out); err != nil {
			return nil, fmt.Errorf("read the statistics of cgroup %s: %w", d, err)
		}
	}
	return out, nil
}

// nsPerUs turns the microseconds of cgroup v2 into the wire's nanoseconds.
const nsPerUs = 1000

func cpu(d cgroup.Dir, out *agentpb.CgroupStats) error {
	v, err := d.Keyed("cpu.stat")
	if err != nil {
		return err
	}
	out.CpuStats = &agentpb.CpuStats{
		CpuUsage: &agentpb.CpuUsage{
			TotalUsage:        v["usage_usec"] * nsPerUs,
			UsageInUsermode:   v["user_usec"] * nsPerUs,
			UsageInKernelmode: v["system_usec"] * nsPerUs,
		},
		ThrottlingData: &agentpb.ThrottlingData{
			Periods:          v["nr_periods"],
			ThrottledPeriods: v["nr_throttled"],
			ThrottledTime:    v["throttled_usec"] * nsPerUs,
		},
	}
	return nil
}

func memory(d cgroup.Dir, out *agentpb.CgroupStats) error {
	stat, err := d.Keyed("memory.stat")
	if err != nil {
		return err
	}
	usage, err := memoryData(d, "memory")
	if err != nil {
		return err
	}
	swap, err := memoryData(d, "memory.swap")
	if err != nil {
		return err
	}
	out.MemoryStats = &agentpb.MemoryStats{
		Cache:        stat["file"],
		Usage:        usage,
		SwapUsage:    swap,
		KernelUsage:  &agentpb.MemoryData{Usage: stat["kernel"]},
		UseHierarchy: true,
		Stats:        stat,
	}
	return nil
}

// memoryData reads the files of memory or of swap; a failure is a hit of the
// limit.
func memoryData(d cgroup.Dir, prefix string) (*agentpb.MemoryData, error) {
	out := &agentpb.MemoryData{}
	// The peak comes after the usage, which is then never more.
	for _, f := range []struct {
		name string
		to   *uint64
	}{{".current", &out.Usage}, {".peak", &out.MaxUsage}, {".max", &out.Limit}} {
		n, err := d.Uint(prefix + f.name)
		if err != nil {
			return nil, err
		}
		*f.to = n
	}
	events, err := d.Keyed(prefix + ".events")
	if err != nil {
		return nil, err
	}
	out.Failcnt = events["max"]
	return out, nil
}

// pids: on the wire a limit of 0 is no limit.
func pids(d cgroup.Dir, out *agentpb.CgroupStats) error {
	current, err := d.Uint("pids.current")
	if err != nil {
		return err
	}
	limit, err := d.Uint("pids.max")
	if err != nil {
		return err
	}
	if limit == cgroup.Max {
		limit = 0
	}
	out.PidsStats = &agentpb.PidsStats{Current: current, Limit: limit}
	return nil
}

// blockIO reads io.stat: "major:minor rbytes=1 wbytes=2 rios=3 wios=4 ...".
func blockIO(d cgroup.Dir, out *agentpb.CgroupStats) error {
	out.BlkioStats = &agentpb.BlkioStats{}
	text, err := d.Read("io.stat")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		addDevice(out.BlkioStats, strings.Fields(line))
	}
	return nil
}

func addDevice(out *agentpb.BlkioStats, words []string) {
	if len(words) == 0 {
		return
	}
	majorText, minorText, _ := strings.Cut(words[0], ":")
	major, err1 := strconv.ParseUint(majorText, 10, 32)
	minor, err2 := strconv.ParseUint(minorText, 10, 32)
	if err1 != nil || err2 != nil {
		return
	}
	for _, word := range words[1:] {
		key, text, _ := strings.Cut(word, "=")
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			continue
		}
		entry := func(op string) *agentpb.BlkioStatsEntry {
			return &agentpb.BlkioStatsEntry{Major: major, Minor: minor, Op: op, Value: n}
		}
		switch key {
		case "rbytes":
			out.IoServiceBytesRecursive = append(out.IoServiceBytesRecursive, entry("Read"))
		case "wbytes":
			out.IoServiceBytesRecursive = append(out.IoServiceBytesRecursive, entry("Write"))
		case "dbytes":
			out.IoServiceBytesRecursive = append(out.IoServiceBytesRecursive, entry("Discard"))
		case "rios":
			out.IoServicedRecursive = append(out.IoServicedRecursive, entry("Read"))
		case "wios":
			out.IoServicedRecursive = append(out.IoServicedRecursive, entry("Write"))
		case "dios":
			out.IoServicedRecursive = append(out.IoServicedRecursive, entry("Discard"))
		}
	}
}

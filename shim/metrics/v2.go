// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"maps"
	"slices"
	"strings"

	"github.com/containerd/cgroups/v3/cgroup2/stats"

	"github.com/katapod/katapod/protocols/agentpb"
)

// nanoseconds per microsecond: the agent counts CPU time in the former, cgroup
// v2 in the latter.
const perMicro = 1000

func v2(r *agentpb.StatsContainerResponse, oomKills uint64) *stats.Metrics {
	g := r.GetCgroupStats()
	return &stats.Metrics{
		CPU:     cpuV2(g.GetCpuStats()),
		Memory:  memoryV2(g.GetMemoryStats()),
		Pids:    &stats.PidsStat{Current: g.GetPidsStats().GetCurrent(), Limit: g.GetPidsStats().GetLimit()},
		Io:      ioV2(g.GetBlkioStats()),
		Hugetlb: hugetlbV2(g.GetHugetlbStats()),
		Network: networkV2(r.GetNetworkStats()),

		MemoryEvents: &stats.MemoryEvents{Oom: oomKills, OomKill: oomKills},
	}
}

func cpuV2(c *agentpb.CpuStats) *stats.CPUStat {
	u, t := c.GetCpuUsage(), c.GetThrottlingData()
	return &stats.CPUStat{
		UsageUsec: u.GetTotalUsage() / perMicro,
		UserUsec:  u.GetUsageInUsermode() / perMicro, SystemUsec: u.GetUsageInKernelmode() / perMicro,
		NrPeriods: t.GetPeriods(), NrThrottled: t.GetThrottledPeriods(), ThrottledUsec: t.GetThrottledTime() / perMicro,
	}
}

func memoryV2(m *agentpb.MemoryStats) *stats.MemoryStat {
	c := counters(m.GetStats())
	return &stats.MemoryStat{
		Usage: m.GetUsage().GetUsage(), UsageLimit: m.GetUsage().GetLimit(), MaxUsage: m.GetUsage().GetMaxUsage(),
		SwapUsage: m.GetSwapUsage().GetUsage(), SwapLimit: m.GetSwapUsage().GetLimit(), SwapMaxUsage: m.GetSwapUsage().GetMaxUsage(),

		Anon:              c.first("anon", "total_rss", "rss"),
		File:              c.first("file", "total_cache", "cache"),
		KernelStack:       c.first("kernel_stack"),
		Slab:              c.first("slab"),
		Sock:              c.first("sock"),
		Shmem:             c.first("shmem"),
		FileMapped:        c.first("file_mapped", "total_mapped_file", "mapped_file"),
		FileDirty:         c.first("file_dirty", "total_dirty", "dirty"),
		FileWriteback:     c.first("file_writeback", "total_writeback", "writeback"),
		AnonThp:           c.first("anon_thp", "total_rss_huge", "rss_huge"),
		InactiveAnon:      c.first("inactive_anon"),
		ActiveAnon:        c.first("active_anon"),
		InactiveFile:      c.first("inactive_file"),
		ActiveFile:        c.first("active_file"),
		Unevictable:       c.first("unevictable"),
		SlabReclaimable:   c.first("slab_reclaimable"),
		SlabUnreclaimable: c.first("slab_unreclaimable"),
		Pgfault:           c.first("pgfault"),
		Pgmajfault:        c.first("pgmajfault"),
	}
}

// ioV2 sums reads and writes of each device.
func ioV2(b *agentpb.BlkioStats) *stats.IOStat {
	type device struct{ major, minor uint64 }
	devices := map[device]*stats.IOEntry{}
	add := func(list []*agentpb.BlkioStatsEntry, read, write func(*stats.IOEntry) *uint64) {
		for _, e := range list {
			key := device{e.Major, e.Minor}
			if devices[key] == nil {
				devices[key] = &stats.IOEntry{Major: e.Major, Minor: e.Minor}
			}
			switch strings.ToLower(e.Op) {
			case "read":
				*read(devices[key]) += e.Value
			case "write":
				*write(devices[key]) += e.Value
			}
		}
	}
	add(b.GetIoServiceBytesRecursive(),
		func(e *stats.IOEntry) *uint64 { return &e.Rbytes }, func(e *stats.IOEntry) *uint64 { return &e.Wbytes })
	add(b.GetIoServicedRecursive(),
		func(e *stats.IOEntry) *uint64 { return &e.Rios }, func(e *stats.IOEntry) *uint64 { return &e.Wios })
	out := slices.SortedFunc(maps.Values(devices), func(a, b *stats.IOEntry) int {
		return int(a.Major-b.Major)<<20 + int(a.Minor-b.Minor)
	})
	return &stats.IOStat{Usage: out}
}

func hugetlbV2(pages map[string]*agentpb.HugetlbStats) []*stats.HugeTlbStat {
	out := make([]*stats.HugeTlbStat, 0, len(pages))
	for _, size := range slices.Sorted(maps.Keys(pages)) {
		h := pages[size]
		out = append(out, &stats.HugeTlbStat{Pagesize: size, Current: h.GetUsage(), Max: h.GetMaxUsage(), Failcnt: h.GetFailcnt()})
	}
	return out
}

func networkV2(list []*agentpb.NetworkStats) []*stats.NetworkStat {
	out := make([]*stats.NetworkStat, 0, len(list))
	for _, n := range list {
		out = append(out, &stats.NetworkStat{
			Name:    n.Name,
			RxBytes: n.RxBytes, RxPackets: n.RxPackets, RxErrors: n.RxErrors, RxDropped: n.RxDropped,
			TxBytes: n.TxBytes, TxPackets: n.TxPackets, TxErrors: n.TxErrors, TxDropped: n.TxDropped,
		})
	}
	return out
}

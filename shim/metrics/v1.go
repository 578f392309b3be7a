// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"maps"
	"slices"

	"github.com/containerd/cgroups/v3/cgroup1/stats"

	"github.com/katapod/katapod/protocols/agentpb"
)

func v1(r *agentpb.StatsContainerResponse, oomKills uint64) *stats.Metrics {
	g := r.GetCgroupStats()
	return &stats.Metrics{
		CPU:     cpuV1(g.GetCpuStats()),
		Memory:  memoryV1(g.GetMemoryStats()),
		Pids:    &stats.PidsStat{Current: g.GetPidsStats().GetCurrent(), Limit: g.GetPidsStats().GetLimit()},
		Blkio:   blkioV1(g.GetBlkioStats()),
		Hugetlb: hugetlbV1(g.GetHugetlbStats()),
		Network: networkV1(r.GetNetworkStats()),

		MemoryOomControl: &stats.MemoryOomControl{OomKill: oomKills},
	}
}

func cpuV1(c *agentpb.CpuStats) *stats.CPUStat {
	u, t := c.GetCpuUsage(), c.GetThrottlingData()
	return &stats.CPUStat{
		Usage: &stats.CPUUsage{
			Total: u.GetTotalUsage(), PerCPU: u.GetPercpuUsage(),
			User: u.GetUsageInUsermode(), Kernel: u.GetUsageInKernelmode(),
		},
		Throttling: &stats.Throttle{
			Periods: t.GetPeriods(), ThrottledPeriods: t.GetThrottledPeriods(), ThrottledTime: t.GetThrottledTime(),
		},
	}
}

// memoryV1 gives v1's totals the values of v2, whose counters always include
// the groups below.
func memoryV1(m *agentpb.MemoryStats) *stats.MemoryStat {
	c := counters(m.GetStats())
	s := &stats.MemoryStat{
		Usage: entryV1(m.GetUsage()), Swap: entryV1(m.GetSwapUsage()), Kernel: entryV1(m.GetKernelUsage()),
		HierarchicalMemoryLimit: m.GetUsage().GetLimit(),
		HierarchicalSwapLimit:   m.GetSwapUsage().GetLimit(),

		TotalCache:        c.first("total_cache", "file", "cache"),
		TotalRSS:          c.first("total_rss", "anon", "rss"),
		TotalRSSHuge:      c.first("total_rss_huge", "anon_thp", "rss_huge"),
		TotalMappedFile:   c.first("total_mapped_file", "file_mapped", "mapped_file"),
		TotalDirty:        c.first("total_dirty", "file_dirty", "dirty"),
		TotalWriteback:    c.first("total_writeback", "file_writeback", "writeback"),
		TotalPgFault:      c.first("total_pgfault", "pgfault"),
		TotalPgMajFault:   c.first("total_pgmajfault", "pgmajfault"),
		TotalInactiveAnon: c.first("total_inactive_anon", "inactive_anon"),
		TotalActiveAnon:   c.first("total_active_anon", "active_anon"),
		TotalInactiveFile: c.first("total_inactive_file", "inactive_file"),
		TotalActiveFile:   c.first("total_active_file", "active_file"),
		TotalUnevictable:  c.first("total_unevictable", "unevictable"),
	}
	s.Cache, s.RSS, s.RSSHuge, s.MappedFile = s.TotalCache, s.TotalRSS, s.TotalRSSHuge, s.TotalMappedFile
	s.Dirty, s.Writeback, s.PgFault, s.PgMajFault = s.TotalDirty, s.TotalWriteback, s.TotalPgFault, s.TotalPgMajFault
	s.InactiveAnon, s.ActiveAnon = s.TotalInactiveAnon, s.TotalActiveAnon
	s.InactiveFile, s.ActiveFile, s.Unevictable = s.TotalInactiveFile, s.TotalActiveFile, s.TotalUnevictable
	return s
}

func entryV1(d *agentpb.MemoryData) *stats.MemoryEntry {
	return &stats.MemoryEntry{Limit: d.GetLimit(), Usage: d.GetUsage(), Max: d.GetMaxUsage(), Failcnt: d.GetFailcnt()}
}

func blkioV1(b *agentpb.BlkioStats) *stats.BlkIOStat {
	return &stats.BlkIOStat{
		IoServiceBytesRecursive: blkioEntries(b.GetIoServiceBytesRecursive()),
		IoServicedRecursive:     blkioEntries(b.GetIoServicedRecursive()),
		IoQueuedRecursive:       blkioEntries(b.GetIoQueuedRecursive()),
		IoServiceTimeRecursive:  blkioEntries(b.GetIoServiceTimeRecursive()),
		IoWaitTimeRecursive:     blkioEntries(b.GetIoWaitTimeRecursive()),
		IoMergedRecursive:       blkioEntries(b.GetIoMergedRecursive()),
		IoTimeRecursive:         blkioEntries(b.GetIoTimeRecursive()),
		SectorsRecursive:        blkioEntries(b.GetSectorsRecursive()),
	}
}

func blkioEntries(list []*agentpb.BlkioStatsEntry) []*stats.BlkIOEntry {
	out := make([]*stats.BlkIOEntry, 0, len(list))
	for _, e := range list {
		out = append(out, &stats.BlkIOEntry{Op: e.Op, Major: e.Major, Minor: e.Minor, Value: e.Value})
	}
	return out
}

func hugetlbV1(pages map[string]*agentpb.HugetlbStats) []*stats.HugetlbStat {
	out := make([]*stats.HugetlbStat, 0, len(pages))
	for _, size := range slices.Sorted(maps.Keys(pages)) {
		h := pages[size]
		out = append(out, &stats.HugetlbStat{Pagesize: size, Usage: h.GetUsage(), Max: h.GetMaxUsage(), Failcnt: h.GetFailcnt()})
	}
	return out
}

func networkV1(list []*agentpb.NetworkStats) []*stats.NetworkStat {
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

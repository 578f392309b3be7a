// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"testing"

	stats1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	stats2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/protocols/agentpb"
)

// measured is what an agent of a cgroup v2 guest answers.
func measured() *agentpb.StatsContainerResponse {
	return &agentpb.StatsContainerResponse{
		CgroupStats: &agentpb.CgroupStats{
			CpuStats: &agentpb.CpuStats{
				CpuUsage:       &agentpb.CpuUsage{TotalUsage: 9_000_000, UsageInUsermode: 6_000_000, UsageInKernelmode: 3_000_000, PercpuUsage: []uint64{9_000_000}},
				ThrottlingData: &agentpb.ThrottlingData{Periods: 5, ThrottledPeriods: 2, ThrottledTime: 7000},
			},
			MemoryStats: &agentpb.MemoryStats{
				Usage:     &agentpb.MemoryData{Usage: 100 << 20, MaxUsage: 120 << 20, Limit: 256 << 20, Failcnt: 1},
				SwapUsage: &agentpb.MemoryData{Usage: 1 << 20, Limit: 2 << 20},
				Stats:     map[string]uint64{"anon": 60 << 20, "file": 30 << 20, "inactive_file": 20 << 20, "pgfault": 11, "slab": 5},
			},
			PidsStats: &agentpb.PidsStats{Current: 4, Limit: 64},
			BlkioStats: &agentpb.BlkioStats{
				IoServiceBytesRecursive: []*agentpb.BlkioStatsEntry{{Major: 254, Op: "Read", Value: 4096}, {Major: 254, Op: "Write", Value: 512}},
				IoServicedRecursive:     []*agentpb.BlkioStatsEntry{{Major: 254, Op: "read", Value: 2}, {Major: 254, Op: "write", Value: 1}},
			},
			HugetlbStats: map[string]*agentpb.HugetlbStats{"2MB": {Usage: 2 << 20, MaxUsage: 4 << 20}},
		},
		NetworkStats: []*agentpb.NetworkStats{{Name: "eth0", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDropped: 8}},
	}
}

func decode(t *testing.T, a *anypb.Any, name string, into proto.Message) {
	t.Helper()
	if a.TypeUrl != name {
		t.Errorf("type %s, want %s", a.TypeUrl, name)
	}
	if err := proto.Unmarshal(a.Value, into); err != nil {
		t.Fatal(err)
	}
}

func TestV1(t *testing.T) {
	a, err := Any(V1, measured(), 2)
	if err != nil {
		t.Fatal(err)
	}
	var m stats1.Metrics
	decode(t, a, "io.containerd.cgroups.v1.Metrics", &m)
	for name, pair := range map[string][2]uint64{
		"cpu total": {m.CPU.Usage.Total, 9_000_000}, "cpu user": {m.CPU.Usage.User, 6_000_000}, "cpu kernel": {m.CPU.Usage.Kernel, 3_000_000},
		"cpu 0": {m.CPU.Usage.PerCPU[0], 9_000_000}, "throttled": {m.CPU.Throttling.ThrottledTime, 7000},
		"memory": {m.Memory.Usage.Usage, 100 << 20}, "memory limit": {m.Memory.Usage.Limit, 256 << 20}, "swap": {m.Memory.Swap.Usage, 1 << 20},
		"rss": {m.Memory.RSS, 60 << 20}, "total rss": {m.Memory.TotalRSS, 60 << 20}, "cache": {m.Memory.TotalCache, 30 << 20},
		"inactive file": {m.Memory.TotalInactiveFile, 20 << 20}, "faults": {m.Memory.PgFault, 11},
		"pids": {m.Pids.Current, 4}, "pids limit": {m.Pids.Limit, 64}, "read": {m.Blkio.IoServiceBytesRecursive[0].Value, 4096},
		"huge": {m.Hugetlb[0].Usage, 2 << 20}, "oom": {m.MemoryOomControl.OomKill, 2}, "rx": {m.Network[0].RxBytes, 1}, "tx dropped": {m.Network[0].TxDropped, 8},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", name, pair[0], pair[1])
		}
	}
	if m.Network[0].Name != "eth0" || m.Hugetlb[0].Pagesize != "2MB" {
		t.Errorf("names %v %v", m.Network[0], m.Hugetlb[0])
	}
}

func TestV2(t *testing.T) {
	a, err := Any(V2, measured(), 2)
	if err != nil {
		t.Fatal(err)
	}
	var m stats2.Metrics
	decode(t, a, "io.containerd.cgroups.v2.Metrics", &m)
	for name, pair := range map[string][2]uint64{
		"cpu": {m.CPU.UsageUsec, 9000}, "cpu user": {m.CPU.UserUsec, 6000}, "cpu system": {m.CPU.SystemUsec, 3000}, "throttled": {m.CPU.ThrottledUsec, 7},
		"memory": {m.Memory.Usage, 100 << 20}, "memory limit": {m.Memory.UsageLimit, 256 << 20}, "anon": {m.Memory.Anon, 60 << 20},
		"file": {m.Memory.File, 30 << 20}, "inactive file": {m.Memory.InactiveFile, 20 << 20}, "slab": {m.Memory.Slab, 5}, "swap": {m.Memory.SwapUsage, 1 << 20},
		"pids": {m.Pids.Current, 4}, "read": {m.Io.Usage[0].Rbytes, 4096}, "written": {m.Io.Usage[0].Wbytes, 512},
		"reads": {m.Io.Usage[0].Rios, 2}, "writes": {m.Io.Usage[0].Wios, 1}, "huge": {m.Hugetlb[0].Current, 2 << 20}, "oom": {m.MemoryEvents.OomKill, 2}, "rx": {m.Network[0].RxBytes, 1},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", name, pair[0], pair[1])
		}
	}
}

func TestNamesOfCgroupV1Guests(t *testing.T) {
	r := &agentpb.StatsContainerResponse{CgroupStats: &agentpb.CgroupStats{MemoryStats: &agentpb.MemoryStats{
		Stats: map[string]uint64{"total_rss": 7, "rss": 1, "total_cache": 8, "total_inactive_file": 9},
	}}}
	if m := v1(r, 0).Memory; m.TotalRSS != 7 || m.TotalCache != 8 || m.TotalInactiveFile != 9 {
		t.Errorf("v1 %v", m)
	}
	if m := v2(r, 0).Memory; m.Anon != 7 || m.File != 8 {
		t.Errorf("v2 %v", m)
	}
}

func TestNothingMeasuredIsTyped(t *testing.T) {
	for _, mode := range []Mode{V1, V2} {
		a, err := Any(mode, nil, 0)
		if err != nil || a.TypeUrl == "" {
			t.Errorf("mode %d: %v, error %v", mode, a, err)
		}
	}
	if m := HostMode(); m != V1 && m != V2 {
		t.Errorf("host mode %d", m)
	}
}

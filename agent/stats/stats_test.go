// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/agent/cgroup"
	"github.com/katapod/katapod/protocols/agentpb"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCgroup(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"cpu.stat":                 "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 4\nthrottled_usec 3\n",
		"memory.stat":              "anon 7\nfile 8\nkernel 9\n",
		"memory.current":           "100\n",
		"memory.max":               "max\n",
		"memory.peak":              "120\n",
		"memory.events":            "low 0\nmax 6\noom_kill 1\n",
		"memory.swap.current":      "11\n",
		"memory.swap.max":          "12\n",
		"pids.current":             "3\n",
		"pids.max":                 "max\n",
		"io.stat":                  "254:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\nbad\n",
		"hugetlb.2MB.current":      "4096\n",
		"hugetlb.2MB.events":       "max 2\n",
		"hugetlb.2MB.rsvd.max":     "0\n",
		"hugetlb.2MB.rsvd.current": "1\n",
	})
	sys := t.TempDir()
	write(t, sys, map[string]string{
		"kernel/mm/hugepages/hugepages-2048kB/nr": "", "kernel/mm/hugepages/hugepages-1048576kB/nr": "",
	})
	got, err := NewReader(sys).Cgroup(cgroup.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	entry := func(op string, n uint64) *agentpb.BlkioStatsEntry {
		return &agentpb.BlkioStatsEntry{Major: 254, Minor: 16, Op: op, Value: n}
	}
	want := &agentpb.CgroupStats{
		CpuStats: &agentpb.CpuStats{
			CpuUsage:       &agentpb.CpuUsage{TotalUsage: 30000, UsageInUsermode: 20000, UsageInKernelmode: 10000},
			ThrottlingData: &agentpb.ThrottlingData{Periods: 5, ThrottledPeriods: 4, ThrottledTime: 3000},
		},
		MemoryStats: &agentpb.MemoryStats{
			Cache: 8, UseHierarchy: true, Stats: map[string]uint64{"anon": 7, "file": 8, "kernel": 9},
			Usage:       &agentpb.MemoryData{Usage: 100, MaxUsage: 120, Limit: ^uint64(0), Failcnt: 6},
			SwapUsage:   &agentpb.MemoryData{Usage: 11, Limit: 12},
			KernelUsage: &agentpb.MemoryData{Usage: 9},
		},
		PidsStats: &agentpb.PidsStats{Current: 3},
		BlkioStats: &agentpb.BlkioStats{
			IoServiceBytesRecursive: []*agentpb.BlkioStatsEntry{entry("Read", 1), entry("Write", 2), entry("Discard", 5)},
			IoServicedRecursive:     []*agentpb.BlkioStatsEntry{entry("Read", 3), entry("Write", 4), entry("Discard", 6)},
		},
		HugetlbStats: map[string]*agentpb.HugetlbStats{"2MB": {Usage: 4096, Failcnt: 2}},
	}
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestSizesOfHugePages(t *testing.T) {
	for kib, want := range map[uint64]string{64: "64KB", 2048: "2MB", 32768: "32MB", 1 << 20: "1GB", 16 << 20: "16GB"} {
		if got := cgroupSize(kib); got != want {
			t.Errorf("%d KiB are %s, want %s", kib, got, want)
		}
	}
	sys := t.TempDir()
	write(t, sys, map[string]string{"kernel/mm/hugepages/hugepages-bad/nr": ""})
	if _, err := NewReader(sys).Cgroup(cgroup.Dir(t.TempDir())); err == nil {
		t.Error("a word is a size")
	}
}

func TestControllersThatAreOff(t *testing.T) {
	reader := NewReader(t.TempDir())
	if got, err := reader.Cgroup(cgroup.Dir(t.TempDir())); err != nil || got.CpuStats.CpuUsage.TotalUsage != 0 {
		t.Errorf("%v, %v", got, err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"pids.current": "many\n"})
	if _, err := reader.Cgroup(cgroup.Dir(dir)); err == nil {
		t.Error("a word is a number")
	}
}

func TestNetworkAndMetrics(t *testing.T) {
	sys := t.TempDir()
	for _, link := range []string{"lo", "eth0"} {
		for i, f := range []string{"rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped"} {
			write(t, sys, map[string]string{"class/net/" + link + "/statistics/" + f: string(rune('1'+i)) + "\n"})
		}
	}
	got, err := Network(sys)
	want := &agentpb.NetworkStats{Name: "eth0", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDropped: 8}
	if err != nil || len(got) != 1 || !proto.Equal(got[0], want) {
		t.Errorf("%v, %v", got, err)
	}
	text, err := Metrics("/proc", sys)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# TYPE kata_agent_total_rss gauge\nkata_agent_total_rss ", "\nkata_agent_goroutines ", "kata_guest_load{item=\"load15\"} ",
		"kata_guest_meminfo{item=\"memtotal\"} ", "kata_guest_cpu_time{cpu=\"cpu0\",item=\"user\"} ",
		"kata_guest_netdev_stat{interface=\"eth0\",item=\"sent_bytes\"} 5\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && len(strings.Fields(line)) != 2 {
			t.Errorf("a bad line: %q", line)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// host is a host of 8 CPUs and 16 GiB with the default configuration.
func host() Bounds {
	return Bounds{DefaultVCPUs: 1, DefaultMemoryMiB: 2048, HostCPUs: 8, HostMemoryMiB: 16384}
}

func bounds(change func(*Bounds)) Bounds {
	b := host()
	change(&b)
	return b
}

// announced is what a CRI engine says about a pod of these.
func announced(together ...Request) Request { return pod(nil, nil, together) }

// pod is what a CRI engine says about a pod: the most that its containers may use at
// a time, those that run together, or one of those that run before them, each by
// itself. Sidecars are started before all of them and stay. What the RuntimeClass
// adds as overhead is not part of it; it is the parent cgroup's.
func pod(before, sidecars, together []Request) Request {
	most := Sum(append(slices.Clone(sidecars), together...)...)
	for _, c := range before {
		alone := Sum(append(slices.Clone(sidecars), c)...)
		most.MemoryBytes = max(most.MemoryBytes, alone.MemoryBytes)
		if alone.CPUQuota > most.CPUQuota {
			most.CPUQuota, most.CPUPeriod = alone.CPUQuota, alone.CPUPeriod
		}
	}
	return most
}

// cpus is a container with a quota of that many thousandths of a CPU, and the memory.
func cpus(milli, memoryMiB int64) Request {
	return Request{CPUQuota: milli * 100, CPUPeriod: 100000, CPUShares: uint64(milli) * 1024 / 1000, MemoryBytes: memoryMiB << 20}
}

func TestVM(t *testing.T) {
	const gib = 1 << 30
	large := bounds(func(b *Bounds) { b.HostMemoryMiB = 65536 })
	for _, c := range []struct {
		name string
		r    Request
		b    Bounds
		want Size
	}{
		{"nothing asked", Request{}, host(), Size{1, 2048, 1}},
		{"no limits", Request{CPUQuota: -1, MemoryBytes: -1}, host(), Size{1, 2048, 1}},
		// CPUs.
		{"one CPU", Request{CPUQuota: 100000, CPUPeriod: 100000}, host(), Size{2, 2048, 2}},
		{"half a CPU is one", Request{CPUQuota: 50000, CPUPeriod: 100000}, host(), Size{2, 2048, 2}},
		{"a thousandth of a CPU is one", Request{CPUQuota: 1000, CPUPeriod: 1000000}, host(), Size{2, 2048, 2}},
		{"one and a bit is two", Request{CPUQuota: 100001, CPUPeriod: 100000}, host(), Size{3, 2048, 3}},
		{"another period", Request{CPUQuota: 25000, CPUPeriod: 10000}, host(), Size{4, 2048, 4}},
		{"the default period", Request{CPUQuota: 300000}, host(), Size{4, 2048, 4}},
		{"a period without quota", Request{CPUPeriod: 100000}, host(), Size{1, 2048, 1}},
		{"more than the host", Request{CPUQuota: 6400000, CPUPeriod: 100000}, host(), Size{8, 2048, 8}},
		{"a huge quota", Request{CPUQuota: 1<<63 - 1, CPUPeriod: 1}, host(), Size{8, 2048, 8}},
		{"shares add nothing", Request{CPUShares: 8192}, host(), Size{1, 2048, 1}},
		{"shares of 2, which stand for none", Request{CPUShares: 2}, host(), Size{1, 2048, 1}},
		{"shares and memory", Request{CPUShares: 512, MemoryBytes: gib}, host(), Size{1, 3072, 1}},
		{"the CFS quota is off", Request{CPUQuota: -1, CPUPeriod: 100000, CPUShares: 4096}, host(), Size{1, 2048, 1}},
		{"the CFS quota is off, a quota of 0", Request{CPUPeriod: 100000, CPUShares: 4096, MemoryBytes: gib}, host(), Size{1, 3072, 1}},
		{"static CPU policy, the CFS quota off", Request{CPUQuota: -1, CPUShares: 3072, Cpuset: "1-3"}, host(), Size{4, 2048, 4}},
		{"static CPU policy with a quota", Request{CPUQuota: 300000, CPUPeriod: 100000, CPUShares: 3072, Cpuset: "1-3"}, host(), Size{4, 2048, 4}},
		{"static CPU policy, the shared pool", Request{CPUShares: 256, Cpuset: "0,4-7"}, host(), Size{6, 2048, 6}},
		{"a cpuset", Request{Cpuset: "0-2"}, host(), Size{4, 2048, 4}},
		{"a cpuset of single CPUs", Request{Cpuset: "1,3,5"}, host(), Size{4, 2048, 4}},
		{"a cpuset that names CPUs twice", Request{Cpuset: "1,1-2,2"}, host(), Size{3, 2048, 3}},
		{"the quota goes before the cpuset", Request{CPUQuota: 100000, Cpuset: "0-3"}, host(), Size{2, 2048, 2}},
		{"a bad cpuset counts nothing", Request{Cpuset: "3-1"}, host(), Size{1, 2048, 1}},
		{"a cpuset larger than the host", Request{Cpuset: "0-65535"}, host(), Size{8, 2048, 8}},
		{"a maximum of vCPUs", Request{CPUQuota: 400000}, bounds(func(b *Bounds) { b.MaxVCPUs = 2 }), Size{2, 2048, 2}},
		{"a maximum above the host", Request{CPUQuota: 900000}, bounds(func(b *Bounds) { b.MaxVCPUs = 64 }), Size{8, 2048, 8}},
		{"a default above the maximum", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs, b.MaxVCPUs = 4, 2 }), Size{2, 2048, 2}},
		{"a default of the host's CPUs", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs = -1 }), Size{8, 2048, 8}},
		{"a default of 0 is 1", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs = 0 }), Size{1, 2048, 1}},
		{"a host of one CPU", cpus(4000, 0), bounds(func(b *Bounds) { b.HostCPUs = 1 }), Size{1, 2048, 1}},
		{"queues have a maximum", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs, b.HostCPUs = 16, 32 }), Size{16, 2048, 8}},
		// Memory.
		{"memory on top", Request{MemoryBytes: gib}, host(), Size{1, 3072, 1}},
		{"a byte is a block", Request{MemoryBytes: 1}, host(), Size{1, 2176, 1}},
		{"a whole block is one", Request{MemoryBytes: 128 << 20}, host(), Size{1, 2176, 1}},
		{"one byte more is two", Request{MemoryBytes: 128<<20 + 1}, host(), Size{1, 2304, 1}},
		{"a pod of 128 MiB in a VM of 256", Request{MemoryBytes: 128 << 20}, bounds(func(b *Bounds) { b.DefaultMemoryMiB = 256 }), Size{1, 384, 1}},
		{"a default that is no number of blocks", Request{MemoryBytes: 128 << 20}, bounds(func(b *Bounds) { b.DefaultMemoryMiB = 300 }), Size{1, 428, 1}},
		{"a pod of 24 GiB", Request{MemoryBytes: 24 * gib}, large, Size{1, 26624, 1}},
		{"a pod of 24 GiB and 12 CPUs", cpus(12000, 24<<10), bounds(func(b *Bounds) { b.HostMemoryMiB, b.HostCPUs = 65536, 64 }), Size{13, 26624, 8}},
		{"all of the host's memory", Request{MemoryBytes: 14 * gib}, host(), Size{1, 16384, 1}},
		{"all of the maximum", Request{MemoryBytes: gib}, bounds(func(b *Bounds) { b.MaxMemoryMiB = 3072 }), Size{1, 3072, 1}},
		{"both", Request{CPUQuota: 250000, MemoryBytes: 512 << 20}, host(), Size{4, 2560, 4}},
		// Pods.
		{"two containers", announced(cpus(500, 128), cpus(500, 128)), host(), Size{2, 2304, 2}},
		{"halves of CPUs add up before they are rounded", announced(cpus(1500, 0), cpus(1500, 0), cpus(500, 0)), host(), Size{5, 2048, 5}},
		{"one of two without limits", announced(cpus(1000, 256), Request{CPUShares: 2}), host(), Size{2, 2304, 2}},
		{"periods that differ", announced(Request{CPUQuota: 50000, CPUPeriod: 50000}, cpus(1000, 0)), host(), Size{3, 2048, 3}},
		{"an init container larger than all", pod([]Request{cpus(3000, 1024)}, nil, []Request{cpus(500, 128), cpus(500, 128)}), host(), Size{4, 3072, 4}},
		{"init containers smaller than all", pod([]Request{cpus(100, 64), cpus(200, 32)}, nil, []Request{cpus(1000, 256)}), host(), Size{2, 2304, 2}},
		{"init containers do not add up", pod([]Request{cpus(1000, 512), cpus(1000, 512)}, nil, []Request{cpus(1000, 256)}), host(), Size{2, 2560, 2}},
		{"large in memory before, in CPUs after", pod([]Request{cpus(100, 1024)}, nil, []Request{cpus(4000, 128)}), host(), Size{5, 3072, 5}},
		{"a sidecar runs with both", pod([]Request{cpus(1000, 512)}, []Request{cpus(500, 256)}, []Request{cpus(1000, 256)}), host(), Size{3, 2816, 3}},
		{"exclusive CPUs of two containers", announced(Request{CPUQuota: -1, Cpuset: "2-3"}, Request{CPUQuota: -1, Cpuset: "4,5"}), host(), Size{5, 2048, 5}},
		{"the shared pool of two containers", announced(Request{Cpuset: "0-1"}, Request{Cpuset: "0-1"}), host(), Size{3, 2048, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := VM(c.r, c.b)
			if err != nil || got != c.want {
				t.Errorf("got %+v, error %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestVMErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Request
		b    Bounds
		is   func(error) bool
		says string
	}{
		{"more than the host", Request{MemoryBytes: 15 << 30}, host(), errdefs.IsFailedPrecondition, "16384 MiB"},
		{"a byte more than the host", Request{MemoryBytes: 14<<30 + 1}, host(), errdefs.IsFailedPrecondition, "lower the pod's memory limit"},
		{"less than a block is left", Request{MemoryBytes: 1}, bounds(func(b *Bounds) { b.MaxMemoryMiB = 2100 }), errdefs.IsFailedPrecondition, "2100 MiB"},
		{"more than the maximum", Request{MemoryBytes: 2 << 30}, bounds(func(b *Bounds) { b.MaxMemoryMiB = 4000 }), errdefs.IsFailedPrecondition, "4000 MiB"},
		{"no overflow", Request{MemoryBytes: 1<<63 - 1}, host(), errdefs.IsFailedPrecondition, "exceed"},
		{"a default above the maximum", Request{}, bounds(func(b *Bounds) { b.MaxMemoryMiB = 1024 }), errdefs.IsInvalidArgument, "default_memory is 2048"},
		{"a default above the host", Request{}, bounds(func(b *Bounds) { b.HostMemoryMiB = 1024 }), errdefs.IsInvalidArgument, "default_memory"},
		{"no default", Request{}, bounds(func(b *Bounds) { b.DefaultMemoryMiB = 0 }), errdefs.IsInvalidArgument, "default_memory"},
		{"no CPUs", Request{}, bounds(func(b *Bounds) { b.HostCPUs = 0 }), errdefs.IsInvalidArgument, "0 CPUs"},
		{"no memory", Request{}, bounds(func(b *Bounds) { b.HostMemoryMiB = 0 }), errdefs.IsInvalidArgument, "0 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := VM(c.r, c.b)
			if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.says) || got != (Size{}) {
				t.Errorf("got %+v, error %v", got, err)
			}
		})
	}
}

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{
		"": 0, "0": 1, "0-3": 4, "0-1,4,6-7": 5, " 1 , 2 ": 2, "a": 0, "1-": 0, "-1": 0, "0,,1": 0, "70000": 0, "0-70000": 0,
	} {
		if got := countCPUs(list); got != want {
			t.Errorf("%q has %d CPUs, want %d", list, got, want)
		}
	}
}

// FuzzVM looks for sizes outside of the bounds.
func FuzzVM(f *testing.F) {
	f.Add(int64(100000), uint64(100000), "0-3", int64(1<<30), 1, 0, 2048, 0, 8, 16384)
	f.Fuzz(func(t *testing.T, quota int64, period uint64, cpuset string, memory int64, dv, mv, dm, mm, hc, hm int) {
		b := Bounds{dv, mv, dm, mm, hc, hm}
		s, err := VM(Request{CPUQuota: quota, CPUPeriod: period, Cpuset: cpuset, MemoryBytes: memory}, b)
		if err != nil {
			return
		}
		if s.VCPUs < 1 || s.VCPUs > hc || mv > 0 && s.VCPUs > mv || s.MemoryMiB < 1 || s.MemoryMiB > hm || mm > 0 && s.MemoryMiB > mm ||
			s.Queues < 1 || s.Queues > s.VCPUs || s.MemoryMiB > b.Most() || (s.MemoryMiB-b.Base())%blockMiB != 0 {
			t.Errorf("%+v gives %+v", b, s)
		}
	})
}

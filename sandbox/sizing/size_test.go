// SPDX-License-Identifier: Apache-2.0

package sizing

import (
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

func TestVM(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name string
		r    Request
		b    Bounds
		want Size
	}{
		{"nothing asked", Request{}, host(), Size{1, 2048, 1}},
		{"no limits", Request{CPUQuota: -1, MemoryBytes: -1}, host(), Size{1, 2048, 1}},
		{"one CPU", Request{CPUQuota: 100000, CPUPeriod: 100000}, host(), Size{2, 2048, 2}},
		{"half a CPU is one", Request{CPUQuota: 50000, CPUPeriod: 100000}, host(), Size{2, 2048, 2}},
		{"one and a bit is two", Request{CPUQuota: 100001, CPUPeriod: 100000}, host(), Size{3, 2048, 3}},
		{"another period", Request{CPUQuota: 25000, CPUPeriod: 10000}, host(), Size{4, 2048, 4}},
		{"the default period", Request{CPUQuota: 300000}, host(), Size{4, 2048, 4}},
		{"a period without quota", Request{CPUPeriod: 100000}, host(), Size{1, 2048, 1}},
		{"more than the host", Request{CPUQuota: 6400000, CPUPeriod: 100000}, host(), Size{8, 2048, 8}},
		{"a huge quota", Request{CPUQuota: 1<<63 - 1, CPUPeriod: 1}, host(), Size{8, 2048, 8}},
		{"shares add nothing", Request{CPUShares: 8192}, host(), Size{1, 2048, 1}},
		{"a cpuset", Request{Cpuset: "0-2"}, host(), Size{4, 2048, 4}},
		{"a cpuset of single CPUs", Request{Cpuset: "1,3,5"}, host(), Size{4, 2048, 4}},
		{"the quota goes before the cpuset", Request{CPUQuota: 100000, Cpuset: "0-3"}, host(), Size{2, 2048, 2}},
		{"a bad cpuset counts nothing", Request{Cpuset: "3-1"}, host(), Size{1, 2048, 1}},
		{"a cpuset larger than the host", Request{Cpuset: "0-65535"}, host(), Size{8, 2048, 8}},
		{"a maximum of vCPUs", Request{CPUQuota: 400000}, bounds(func(b *Bounds) { b.MaxVCPUs = 2 }), Size{2, 2048, 2}},
		{"a maximum above the host", Request{CPUQuota: 900000}, bounds(func(b *Bounds) { b.MaxVCPUs = 64 }), Size{8, 2048, 8}},
		{"a default above the maximum", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs, b.MaxVCPUs = 4, 2 }), Size{2, 2048, 2}},
		{"a default of the host's CPUs", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs = -1 }), Size{8, 2048, 8}},
		{"a default of 0 is 1", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs = 0 }), Size{1, 2048, 1}},
		{"queues have a maximum", Request{}, bounds(func(b *Bounds) { b.DefaultVCPUs, b.HostCPUs = 16, 32 }), Size{16, 2048, 8}},
		{"memory on top", Request{MemoryBytes: gib}, host(), Size{1, 3072, 1}},
		{"memory is rounded up", Request{MemoryBytes: 1}, host(), Size{1, 2049, 1}},
		{"a whole MiB is not", Request{MemoryBytes: 1 << 20}, host(), Size{1, 2049, 1}},
		{"one byte more is", Request{MemoryBytes: 1<<20 + 1}, host(), Size{1, 2050, 1}},
		{"all of the host's memory", Request{MemoryBytes: 14 * gib}, host(), Size{1, 16384, 1}},
		{"all of the maximum", Request{MemoryBytes: gib}, bounds(func(b *Bounds) { b.MaxMemoryMiB = 3072 }), Size{1, 3072, 1}},
		{"both", Request{CPUQuota: 250000, MemoryBytes: 512 << 20}, host(), Size{4, 2560, 4}},
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
			s.Queues < 1 || s.Queues > s.VCPUs {
			t.Errorf("%+v gives %+v", b, s)
		}
	})
}

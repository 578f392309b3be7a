// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestFitsCPUs(t *testing.T) {
	for _, c := range []struct {
		name  string
		r     Request
		words string
	}{
		{"nothing", Request{}, ""},
		{"less", Request{CPUQuota: 50_000}, ""},
		{"those of the VM's default", Request{CPUQuota: 300_000}, ""},
		{"more", Request{CPUQuota: 300_001}, "4 CPUs"},
		{"more by a cpuset", Request{Cpuset: "0-4"}, "5 CPUs"},
		{"no limit any more", Request{CPUQuota: -1}, ""},
	} {
		err := c.r.FitsCPUs(Size{VCPUs: 3})
		if c.words == "" && err != nil || c.words != "" && (!errors.Is(err, errdefs.ErrFailedPrecondition) || !strings.Contains(err.Error(), c.words)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.words)
		}
	}
}

func TestGrow(t *testing.T) {
	const gib = 1 << 30
	fresh := Size{VCPUs: 2, MemoryMiB: 2048, Queues: 2}
	sized := func(mib int) Size { return Size{VCPUs: 2, MemoryMiB: mib, Queues: 2} }
	small := bounds(func(b *Bounds) { b.DefaultMemoryMiB = 256 })
	for _, c := range []struct {
		name string
		now  Size
		r    Request
		b    Bounds
		want Size
	}{
		{"nothing asked", fresh, Request{}, host(), fresh},
		{"no limit", fresh, Request{MemoryBytes: -1}, host(), fresh},
		{"what the guest holds", fresh, Request{MemoryBytes: Room(fresh)}, host(), fresh},
		{"a byte more", fresh, Request{MemoryBytes: Room(fresh) + 1}, host(), sized(3968)},
		{"what it was announced for", sized(3072), Request{MemoryBytes: gib}, host(), sized(3072)},
		{"more than was announced, and there is room", sized(3072), Request{MemoryBytes: 2 * gib}, host(), sized(3072)},
		{"more than there is room for", sized(3072), Request{MemoryBytes: 3 * gib}, host(), sized(5120)},
		{"less than before", sized(5120), Request{MemoryBytes: gib}, host(), sized(5120)},
		{"a second container of 128 MiB in a small VM", sized(384), Sum(cpus(100, 128), cpus(100, 128)), small, sized(512)},
		{"CPUs do not count", fresh, cpus(8000, 128), host(), fresh},
		{"what a VM starts with is enough", sized(256 + 16000), Request{MemoryBytes: 15900 << 20}, bounds(func(b *Bounds) { b.DefaultMemoryMiB, b.HostMemoryMiB = 256, 65536 }), sized(256 + 16000)},
		{"all of the host's memory, with less than the default beside it", fresh, Request{MemoryBytes: 15 * gib}, host(), sized(16384)},
		{"all of the host's memory", fresh, Request{MemoryBytes: 14 * gib}, host(), sized(16384)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Grow(c.now, c.r, c.b)
			if err != nil || got != c.want {
				t.Errorf("got %+v, error %v, want %+v", got, err, c.want)
			}
		})
	}
	got, err := Grow(fresh, Request{MemoryBytes: 16 * gib}, host())
	if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "default_maxmemory") || got != fresh {
		t.Errorf("more than the host has: %+v, %v", got, err)
	}
}

func TestRoom(t *testing.T) {
	for mib, want := range map[int]int64{0: 0, 128: 0, 256: 120, 2048: 1856} {
		if got := Room(Size{MemoryMiB: mib}) >> 20; got != want {
			t.Errorf("%d MiB have room for %d, want %d", mib, got, want)
		}
	}
}

func TestMost(t *testing.T) {
	for want, b := range map[int]Bounds{
		16384: host(),
		2048:  bounds(func(b *Bounds) { b.MaxMemoryMiB = 2100 }),
		2304:  bounds(func(b *Bounds) { b.MaxMemoryMiB = 2400 }),
		428:   bounds(func(b *Bounds) { b.DefaultMemoryMiB, b.HostMemoryMiB = 300, 512 }),
	} {
		if got := b.Most(); got != want {
			t.Errorf("%+v grows to %d, want %d", b, got, want)
		}
	}
}

func TestSum(t *testing.T) {
	huge := Request{CPUQuota: math.MaxInt64, CPUPeriod: 1, MemoryBytes: math.MaxInt64}
	for name, c := range map[string]struct {
		of   []Request
		want Request
	}{
		"none":           {nil, Request{}},
		"without limits": {[]Request{{CPUQuota: -1, MemoryBytes: -1}, {}}, Request{}},
		"two": {[]Request{cpus(500, 64), {CPUQuota: 20000, CPUPeriod: 10000, CPUShares: 10, Cpuset: "1", MemoryBytes: 1}},
			Request{CPUQuota: 250000, CPUPeriod: 100000, CPUShares: 522, Cpuset: "1", MemoryBytes: 64<<20 + 1}},
		"no overflow": {[]Request{huge, huge}, Request{CPUQuota: math.MaxInt64, CPUPeriod: 100000, MemoryBytes: math.MaxInt64}},
	} {
		if got := Sum(c.of...); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestMerge(t *testing.T) {
	before := Request{CPUQuota: 1, CPUPeriod: 2, CPUShares: 3, Cpuset: "4", MemoryBytes: 5}
	if got := (Request{}).Merge(before); got != before {
		t.Errorf("nothing over %+v is %+v", before, got)
	}
	all := Request{CPUQuota: 6, CPUPeriod: 7, CPUShares: 8, Cpuset: "9", MemoryBytes: 10}
	if got := all.Merge(before); got != all {
		t.Errorf("%+v over %+v is %+v", all, before, got)
	}
}

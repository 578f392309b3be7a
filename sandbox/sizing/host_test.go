// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/hostcgroup"
)

func TestHostLimits(t *testing.T) {
	size := Size{VCPUs: 2, MemoryMiB: 2560, Queues: 2}
	whole := int64(2560)<<20 + Overhead(size, "qemu")
	for _, c := range []struct {
		name string
		r    Request
		want hostcgroup.Limits
	}{
		{"nothing asked", Request{}, hostcgroup.Limits{}},
		{"no limits", Request{CPUQuota: -1, MemoryBytes: -1}, hostcgroup.Limits{}},
		{"memory covers the whole VM", Request{MemoryBytes: 512 << 20}, hostcgroup.Limits{MemoryBytes: whole}},
		{"no quota", Request{CPUQuota: 50000, CPUPeriod: 100000, CPUShares: 512}, hostcgroup.Limits{CPUShares: 512}},
		{"a cpuset", Request{Cpuset: "2-3"}, hostcgroup.Limits{Cpus: "2-3"}},
	} {
		if got := HostLimits(c.r, size, "qemu"); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestOverheadGrowsWithTheVM(t *testing.T) {
	for _, vmm := range []string{"qemu", "cloud-hypervisor", "firecracker", "fake", "another"} {
		small := Overhead(Size{1, 256, 1}, vmm)
		if more := Overhead(Size{2, 256, 2}, vmm); more <= small {
			t.Errorf("%s: %d bytes with two vCPUs, %d with one", vmm, more, small)
		}
		if more := Overhead(Size{1, 65536, 1}, vmm); more < small+(65536<<20)/512 {
			t.Errorf("%s: %d bytes with 64 GiB do not cover its page tables", vmm, more)
		}
		if small < 128<<20 {
			t.Errorf("%s: %d bytes are too few for a VMM, a shim and virtiofsd", vmm, small)
		}
	}
	if Overhead(Size{1, 256, 1}, "another") <= Overhead(Size{1, 256, 1}, "qemu") {
		t.Error("an unknown VMM counts less than a known one")
	}
}

func TestCheckParent(t *testing.T) {
	size := Size{VCPUs: 1, MemoryMiB: 2048, Queues: 1}
	need := footprint(size, "qemu")
	for _, fine := range []int64{0, -1, need, need + 1} {
		if err := CheckParent(size, "qemu", fine); err != nil {
			t.Errorf("%d bytes: %v", fine, err)
		}
	}
	err := CheckParent(size, "qemu", need-1)
	if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "podFixed") {
		t.Errorf("error %v", err)
	}
}

// TestHostLimitsCoverEverySize: what the pod's cgroup allows is the VM with all that
// it may take besides, for every size, as a RuntimeClass's overhead has to cover it.
func TestHostLimitsCoverEverySize(t *testing.T) {
	for _, size := range []Size{{1, 256, 1}, {1, 384, 1}, {1, 2176, 1}, {2, 2304, 2}, {4, 16384, 4}, {13, 26624, 8}} {
		limit := HostLimits(Request{MemoryBytes: 1}, size, "qemu").MemoryBytes
		if over := limit - int64(size.MemoryMiB)<<20; over != Overhead(size, "qemu") || over < 192<<20 {
			t.Errorf("%+v: the limit is %d bytes over the guest's memory", size, over)
		}
		if err := CheckParent(size, "qemu", limit); err != nil {
			t.Error(err)
		}
	}
}

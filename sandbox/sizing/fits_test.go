// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"errors"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestFits(t *testing.T) {
	limited := Request{CPUQuota: 200_000, MemoryBytes: 512 * mib}
	for _, c := range []struct {
		name      string
		r, before Request
		size      Size
		words     string
	}{
		{"nothing", Request{}, Request{}, Size{VCPUs: 1, MemoryMiB: 256}, ""},
		{"the same", limited, limited, Size{VCPUs: 3, MemoryMiB: 768}, ""},
		{"less", Request{CPUQuota: 50_000, MemoryBytes: mib}, limited, Size{VCPUs: 3, MemoryMiB: 768}, ""},
		{"CPUs of the VM's default", Request{CPUQuota: 300_000}, limited, Size{VCPUs: 3, MemoryMiB: 768}, ""},
		{"more CPUs", Request{CPUQuota: 300_001}, limited, Size{VCPUs: 3, MemoryMiB: 768}, "4 CPUs"},
		{"more memory", Request{MemoryBytes: 512*mib + 1}, limited, Size{VCPUs: 3, MemoryMiB: 768}, "513 MiB"},
		{"a first limit", Request{MemoryBytes: 100 * mib}, Request{}, Size{VCPUs: 1, MemoryMiB: 256}, ""},
		{"a first limit beyond the guest", Request{MemoryBytes: 300 * mib}, Request{}, Size{VCPUs: 1, MemoryMiB: 256}, "300 MiB"},
		{"no limit any more", Request{CPUQuota: -1, MemoryBytes: -1}, limited, Size{VCPUs: 3, MemoryMiB: 768}, ""},
	} {
		err := c.r.Fits(c.before, c.size)
		if c.words == "" && err != nil || c.words != "" && (!errors.Is(err, errdefs.ErrFailedPrecondition) || !strings.Contains(err.Error(), c.words)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.words)
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

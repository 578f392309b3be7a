// SPDX-License-Identifier: Apache-2.0

package sizing

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestFromAnnotations(t *testing.T) {
	got, err := FromAnnotations(map[string]string{
		annotationQuota: "150000", annotationPeriod: "100000", annotationShares: "1536", annotationMemory: "1073741824", "other": "x",
	})
	want := Request{CPUQuota: 150000, CPUPeriod: 100000, CPUShares: 1536, MemoryBytes: 1 << 30}
	if err != nil || got != want {
		t.Errorf("got %+v, error %v, want %+v", got, err, want)
	}
	got, err = FromAnnotations(map[string]string{annotationQuota: "-1", annotationMemory: ""})
	if err != nil || got != (Request{CPUQuota: -1}) {
		t.Errorf("got %+v, error %v", got, err)
	}
	if got, err := FromAnnotations(nil); err != nil || got != (Request{}) {
		t.Errorf("got %+v, error %v", got, err)
	}
	for _, key := range []string{annotationQuota, annotationPeriod, annotationShares, annotationMemory} {
		for _, value := range []string{"much", "1.5", "99999999999999999999", "0x10"} {
			got, err := FromAnnotations(map[string]string{key: value})
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), value) || got != (Request{}) {
				t.Errorf("%s = %s: got %+v, error %v", key, value, got, err)
			}
		}
	}
	if _, err := FromAnnotations(map[string]string{annotationPeriod: "-1"}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a negative period: error %v", err)
	}
}

func TestFromSpec(t *testing.T) {
	quota, period, shares, memory := int64(50000), uint64(100000), uint64(512), int64(64<<20)
	whole := &specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Quota: &quota, Period: &period, Shares: &shares, Cpus: "0-1"},
		Memory: &specs.LinuxMemory{Limit: &memory},
	}
	for name, c := range map[string]struct {
		s    *specs.Spec
		want Request
	}{
		"nil":          {nil, Request{}},
		"empty":        {&specs.Spec{}, Request{}},
		"no resources": {&specs.Spec{Linux: &specs.Linux{}}, Request{}},
		"no limits":    {&specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{CPU: &specs.LinuxCPU{}, Memory: &specs.LinuxMemory{}}}}, Request{}},
		"whole":        {&specs.Spec{Linux: &specs.Linux{Resources: whole}}, Request{50000, 100000, 512, "0-1", 64 << 20}},
	} {
		if got := FromSpec(c.s); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

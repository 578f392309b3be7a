// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
)

func TestUpdate(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Resources = sizing.Request{MemoryBytes: 64 << 20, CPUShares: 2} })
	update := func(r sizing.Request) error { return f.pod.Update(context.Background(), r) }
	if err := update(sizing.Request{}); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("before the start: %v", err)
	}
	if err := f.pod.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := update(sizing.Request{CPUShares: 512, Cpuset: "0", MemoryBytes: 32 << 20}); err != nil {
		t.Error(err)
	}
	if want := (hostcgroup.Limits{CPUShares: 512, Cpus: "0"}); f.host.limits != want {
		t.Errorf("the host's group got %+v, want %+v", f.host.limits, want)
	}
	// Back to what the VM was sized for; what is not named stays.
	if err := update(sizing.Request{MemoryBytes: 64 << 20}); err != nil {
		t.Error(err)
	}
	if f.host.limits.CPUShares != 512 {
		t.Errorf("the host's group got %+v", f.host.limits)
	}
	for _, r := range []sizing.Request{{MemoryBytes: 4 << 30}, {CPUQuota: 100_000_000}} {
		if err := update(r); !errors.Is(err, errdefs.ErrFailedPrecondition) {
			t.Errorf("more than the VM can have, %+v: %v", r, err)
		}
	}
	if f.vm.Memory() != nil || f.host.limits.CPUShares != 512 {
		t.Errorf("the VM got %v, the host's group %+v", f.vm.Memory(), f.host.limits)
	}
	f.host.mu.Lock()
	f.host.fail["limits"] = errdefs.ErrUnavailable
	f.host.mu.Unlock()
	if err := update(sizing.Request{CPUShares: 3}); !errors.Is(err, errdefs.ErrUnavailable) {
		t.Errorf("a group that takes no limits: %v", err)
	}
	if err := f.pod.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := update(sizing.Request{}); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("after the end: %v", err)
	}
}

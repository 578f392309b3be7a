// SPDX-License-Identifier: Apache-2.0

package hypervisor_test

import (
	"errors"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
)

func TestWhatADriverLacksIsNamed(t *testing.T) {
	able, bare := fake.New(hypervisor.Config{}), fake.NewBare(hypervisor.Config{})
	for feature, as := range map[string]func(hypervisor.VM) (any, error){
		"plugging a disk into a running VM":               func(vm hypervisor.VM) (any, error) { return hypervisor.AsDiskPlugger(vm) },
		"plugging a network device into a running VM":     func(vm hypervisor.VM) (any, error) { return hypervisor.AsNICPlugger(vm) },
		"plugging a shared file system into a running VM": func(vm hypervisor.VM) (any, error) { return hypervisor.AsSharePlugger(vm) },
		"plugging memory into a running VM":               func(vm hypervisor.VM) (any, error) { return hypervisor.AsMemoryPlugger(vm) },
		"saving a VM":                                     func(vm hypervisor.VM) (any, error) { return hypervisor.AsSnapshotter(vm) },
		"pausing a VM":                                    func(vm hypervisor.VM) (any, error) { return hypervisor.AsPauser(vm) },
	} {
		if got, err := as(able); err != nil || got != any(able) {
			t.Errorf("%s, by a driver that can: %v, %v", feature, got, err)
		}
		_, err := as(bare)
		if !errors.Is(err, errdefs.ErrNotImplemented) || err.Error() != "fake does not support "+feature {
			t.Errorf("%s, by a driver that cannot: %v", feature, err)
		}
	}
}

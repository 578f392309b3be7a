// SPDX-License-Identifier: Apache-2.0

package hypervisor_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

func TestBecause(t *testing.T) {
	sentence := fmt.Errorf("the guest kernel is missing at /k: %w", errdefs.ErrNotFound)
	err := fmt.Errorf("start VM a: %w", hypervisor.Because(hypervisor.ErrKernel, sentence))
	for _, want := range []error{hypervisor.ErrKernel, errdefs.ErrNotFound} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
	}
	if errors.Is(err, hypervisor.ErrImage) {
		t.Error("another file is blamed")
	}
	if got, want := err.Error(), "start VM a: "+sentence.Error(); got != want {
		t.Errorf("the sentence is %q, want %q", got, want)
	}
	if hypervisor.Because(hypervisor.ErrKernel, nil) != nil {
		t.Error("success has a cause")
	}
}

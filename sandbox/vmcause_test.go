// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

func TestVMCode(t *testing.T) {
	corrupt := func(cause error) error { return hypervisor.Because(cause, errdefs.ErrInvalidArgument) }
	missing := func(cause error) error { return hypervisor.Because(cause, errdefs.ErrNotFound) }
	for _, c := range []struct {
		err  error
		code Code
	}{
		{hypervisor.Because(hypervisor.ErrGuestPanicked, errors.New("x")), CodeGuestPanicked},
		{hypervisor.Because(hypervisor.ErrAcceleratorUnusable, errdefs.ErrFailedPrecondition), CodeAcceleratorUnusable},
		{missing(hypervisor.ErrImage), CodeImageMissing},
		{corrupt(hypervisor.ErrImage), CodeImageCorrupt},
		{missing(hypervisor.ErrKernel), CodeKernelMissing},
		{corrupt(hypervisor.ErrKernel), CodeKernelCorrupt},
		{corrupt(hypervisor.ErrBinary), CodeVMMMissing},
		// Words say nothing: a guest chooses those on its console.
		{errors.New("the guest image /i: guest panic; the accelerator "), ""},
	} {
		code, known := vmCode(fmt.Errorf("start VM a: %w", c.err))
		if code != c.code || known != (c.code != "") {
			t.Errorf("%v: code %q, %v; want %q", c.err, code, known, c.code)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/sandbox/failure"
)

func TestVMCode(t *testing.T) {
	corrupt := func(cause error) error { return hypervisor.Because(cause, errdefs.ErrInvalidArgument) }
	missing := func(cause error) error { return hypervisor.Because(cause, errdefs.ErrNotFound) }
	for _, c := range []struct {
		err  error
		code failure.Code
	}{
		{hypervisor.Because(hypervisor.ErrGuestPanicked, errors.New("x")), failure.GuestPanicked},
		{hypervisor.Because(hypervisor.ErrAcceleratorUnusable, errdefs.ErrFailedPrecondition), failure.AcceleratorUnusable},
		{missing(hypervisor.ErrImage), failure.ImageMissing},
		{corrupt(hypervisor.ErrImage), failure.ImageCorrupt},
		{missing(hypervisor.ErrKernel), failure.KernelMissing},
		{corrupt(hypervisor.ErrKernel), failure.KernelCorrupt},
		{corrupt(hypervisor.ErrBinary), failure.VMMMissing},
		// Words say nothing: a guest chooses those on its console.
		{errors.New("the guest image /i: guest panic; the accelerator "), ""},
	} {
		code, known := vmCode(fmt.Errorf("start VM a: %w", c.err))
		if code != c.code || known != (c.code != "") {
			t.Errorf("%v: code %q, %v; want %q", c.err, code, known, c.code)
		}
	}
}

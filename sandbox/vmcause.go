// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/sandbox/failure"
)

// vmCode finds the code of what a VMM says about its end, or about a start that
// failed.
func vmCode(cause error) (failure.Code, bool) {
	missing := errdefs.IsNotFound(cause)
	for _, known := range []struct {
		cause         error
		absent, other failure.Code
	}{
		{hypervisor.ErrGuestPanicked, failure.GuestPanicked, failure.GuestPanicked},
		{hypervisor.ErrAcceleratorUnusable, failure.AcceleratorUnusable, failure.AcceleratorUnusable},
		{hypervisor.ErrImage, failure.ImageMissing, failure.ImageCorrupt},
		{hypervisor.ErrKernel, failure.KernelMissing, failure.KernelCorrupt},
		{hypervisor.ErrBinary, failure.VMMMissing, failure.VMMMissing},
	} {
		switch {
		case !errors.Is(cause, known.cause):
		case missing:
			return known.absent, true
		default:
			return known.other, true
		}
	}
	return "", false
}

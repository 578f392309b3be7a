// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// vmCode finds the code of what a VMM says about its end, or about a start that
// failed.
func vmCode(cause error) (Code, bool) {
	missing := errdefs.IsNotFound(cause)
	for _, known := range []struct {
		cause         error
		absent, other Code
	}{
		{hypervisor.ErrGuestPanicked, CodeGuestPanicked, CodeGuestPanicked},
		{hypervisor.ErrAcceleratorUnusable, CodeAcceleratorUnusable, CodeAcceleratorUnusable},
		{hypervisor.ErrImage, CodeImageMissing, CodeImageCorrupt},
		{hypervisor.ErrKernel, CodeKernelMissing, CodeKernelCorrupt},
		{hypervisor.ErrBinary, CodeVMMMissing, CodeVMMMissing},
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

// SPDX-License-Identifier: Apache-2.0

package hypervisor

import "errors"

// Causes of a VM's failure, found by errors.Is in what Start returns and in
// Exit.Cause. A driver gives them to its sentences with [Because].
var (
	// ErrGuestPanicked is the end of a VM whose guest's kernel panicked.
	ErrGuestPanicked = errors.New("the guest's kernel panicked")
	// ErrAcceleratorUnusable says that the accelerator that was asked for, or
	// chosen, does not run this guest on this host.
	ErrAcceleratorUnusable = errors.New("the accelerator is not usable")
	// ErrSnapshot says that a saved VM is to blame for a clone that did not start:
	// another clone of it would not start either.
	ErrSnapshot = errors.New("the saved VM cannot be cloned")
	// ErrKernel, ErrImage and ErrBinary say which file is to blame: the guest's
	// kernel, its image or initrd, or the VMM. The same error is
	// errdefs.ErrNotFound when the file is missing, and
	// errdefs.ErrInvalidArgument when it is corrupt or of another kind.
	ErrKernel = errors.New("the guest kernel cannot be used")
	ErrImage  = errors.New("the guest image cannot be used")
	ErrBinary = errors.New("the VMM cannot be used")
)

// Because makes errors.Is find cause in err, whose sentence stays as it is. A nil
// err stays nil.
func Because(cause, err error) error {
	if err == nil {
		return nil
	}
	return because{cause: cause, err: err}
}

type because struct{ cause, err error }

// Error is the sentence without the cause, which it tells in its own words.
func (b because) Error() string { return b.err.Error() }

// Unwrap gives both.
func (b because) Unwrap() []error { return []error{b.err, b.cause} }

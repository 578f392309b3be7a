// SPDX-License-Identifier: Apache-2.0

// Package guestimage holds what the guest is made from: the kernel's
// configuration, and the lists from which the read-only root image and the
// initrd are built. The builds are the scripts build-kernel and build-image
// beside this file (see README.md); the package has no code of its own, only
// the tests of what the scripts make.
package guestimage

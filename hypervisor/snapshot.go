// SPDX-License-Identifier: Apache-2.0

package hypervisor

// Snapshot names the files of a saved VM, as absolute paths.
//
// A clone never maps Memory where it could write to it: clones that share one
// mapping corrupt each other.
type Snapshot struct {
	// Memory is the guest's memory, a sparse file as large as the memory. It is
	// best on a tmpfs. SaveTo's is made by Start and must not exist before.
	Memory string
	// State is what the VMM says about processors and devices.
	State string
}

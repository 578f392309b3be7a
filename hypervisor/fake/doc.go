// SPDX-License-Identifier: Apache-2.0

// Package fake is a VM without a machine, for tests of what is above the VM
// contract. It passes the same behaviour suite as the real drivers.
//
// The guest is the test itself: it registers a function per guest port with
// [VM.Handle], which serves each connection that is dialled. In place of a VMM
// process there is an idle one, so that the fake can be put in a cgroup,
// recorded, and killed like any other; killing it is the VM's death.
//
// [New] returns a VM with every optional interface of the contract, [NewBare]
// one with none.
package fake

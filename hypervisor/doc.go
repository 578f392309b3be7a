// SPDX-License-Identifier: Apache-2.0

// Package hypervisor is the contract between a pod and the VM it runs in.
//
// [VM] has few methods, which every virtual machine monitor (VMM) can honour.
// What not every VMM can do is a small interface of its own that a driver may
// implement besides: [DiskPlugger], [NICPlugger], [SharePlugger], [MemoryPlugger], [Pauser],
// [Snapshotter]. A caller asks for one with its As function, for instance
// [AsDiskPlugger]; what a driver lacks is an [Unsupported] error that names the VMM
// and the feature, never nil.
//
// One suite, hypervisortest, runs over every driver, the fake included.
//
// A VM passes through these states:
//
//	created --Start--> running --Stop, death--> stopped
//	created --Stop--> stopped
//
// A stopped VM cannot be started again.
package hypervisor

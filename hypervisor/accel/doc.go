// SPDX-License-Identifier: Apache-2.0

// Package accel chooses how a VMM runs a guest's code: under KVM where that
// truly works, and by translation (TCG) elsewhere.
//
// That /dev/kvm opens is not enough. On some nested hosts KVM interprets every
// privileged instruction, at about a millionth of a second each, and an
// ordinary kernel never gets to user space. What decides, in this order:
//
//  1. no /dev/kvm: TCG;
//  2. neither vmx nor svm among the processor's flags: TCG, since on x86 KVM
//     has no hardware to stand on;
//  3. the probe: a loop of some thousand privileged-mode instructions in a tiny
//     VM, before and after which KVM's own counter of emulated instructions is
//     read. None emulated is native, and KVM is chosen; all else is TCG.
//
// The probe takes a few milliseconds; its verdict is kept until the next boot.
package accel

// SPDX-License-Identifier: Apache-2.0

// Package hypervisortest is the behaviour that every driver of package
// hypervisor must show. A driver's test calls [Run].
//
// Drivers that boot a real guest get one from [Guest]: the project's kernel
// with an initrd that holds nothing but the program in testguest.
package hypervisortest

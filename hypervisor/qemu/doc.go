// SPDX-License-Identifier: Apache-2.0

// Package qemu runs a VM in a QEMU process, versions 7.2 to 10, on the q35
// machine, under KVM where that truly works and under QEMU's own translator
// (TCG) elsewhere.
//
// The process is confined, see package confine: a user of its own, no capabilities, a
// root directory with little more than its program. It is given file descriptors
// rather than names: one end of a socket pair each for its control channel (package
// qmp) and for the guest's console, the listening socket of the guest channel, disks,
// the source of random numbers, connections to share daemons, TAP queues and vhost
// devices. It
// starts with its vCPUs held; they run once the caller has recorded the process
// (Config.Spawned) and the control channel answers.
//
// A VM passes through the states of package life; Start and Stop drive it, and
// one goroutine per VM, watch, notices the end of the process, finds the cause,
// and releases what was acquired.
//
// Devices have fixed addresses on the root bus, see pci.go, so that the place
// of a disk plugged later is known before the guest sees it. Later devices go
// behind a bridge that is there from the start; plugging goes through ACPI, which the guest answers in tens of milliseconds where native
// PCIe hot-plug takes seconds.
package qemu

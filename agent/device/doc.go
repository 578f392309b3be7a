// SPDX-License-Identifier: Apache-2.0

// Package device finds what the host plugs into the guest. The host names a
// device by its place on the PCI bus as it set it up ([PCIPath]); the guest
// numbers its buses by itself, so the path is walked through sysfs. A device
// that is not there yet is waited for by the kernel's uevents, never by time.
package device

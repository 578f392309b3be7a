// SPDX-License-Identifier: Apache-2.0

// Package guestos is what the host asks of the guest's kernel: clock and
// entropy (a clone of a snapshot has those of its template), CPUs and memory
// that were plugged in, swap, kernel modules, and the state and size of mounted
// volumes.
package guestos

// SPDX-License-Identifier: Apache-2.0

// Package shimtest is what the fuzz tests of the shim's services share: calls
// that have to return in time with an error of a known class, and what a process
// holds that calls can leave behind.
package shimtest

// SPDX-License-Identifier: Apache-2.0

// Package console is the debug console: a shell in the guest for each
// connection to a guest port, or on the guest's own console, when the kernel
// command line asks for it (agent.debug_console).
package console

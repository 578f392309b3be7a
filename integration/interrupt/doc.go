// SPDX-License-Identifier: Apache-2.0

// Package interrupt lets the tests of a node end early and clean up: at SIGINT and
// SIGTERM the test that runs ends, those behind it do not begin, and TestMain takes
// the node down as after any run. Without it, a signal ends the process and leaves
// pods, mounts and processes on the machine.
package interrupt

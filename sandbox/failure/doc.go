// SPDX-License-Identifier: Apache-2.0

// Package failure says why a pod did not start, or died: in a closed set of codes,
// each with what it means, what usually causes it and what helps, in one line for
// the engine and its events, and in one file for whoever looks later.
//
// Much of a report comes from the guest, which is hostile: its console, and the
// words of an agent that may be none. Every text is bounded and made printable
// before it reaches a file, a log or a terminal.
package failure

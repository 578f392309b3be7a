// SPDX-License-Identifier: Apache-2.0

// Package qmp speaks the QEMU Machine Protocol, the control channel of a QEMU
// process: JSON objects, one per line, over a unix socket. The protocol is
// described in QEMU's docs/interop/qmp-spec.
//
// A [Client] serves many callers at once. It trusts its peer little: replies
// are bounded in size, every wait ends with its context, and when the peer goes
// away every caller gets [ErrClosed].
package qmp

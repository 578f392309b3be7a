// SPDX-License-Identifier: Apache-2.0

// Package stdio connects the files that an engine names for a process with the
// process's streams from the guest.
//
// A name is a FIFO (a bare path or fifo://), a file (file://) or a logging
// program (binary://), as containerd's runtime v2 documentation defines them.
// Every stream has a goroutine of its own, so that a reader who is slow, or
// gone, holds up no other stream.
//
// FIFOs are opened so that an engine may detach and come back: the shim holds
// both ends of an output FIFO, and a writing end of the input FIFO until CloseIO.
// A detaching client thus never looks like the end of the input.
package stdio

// SPDX-License-Identifier: Apache-2.0

// Package events brings the shim's events to containerd, in the order in which
// they happened.
//
// [Queue.Publish] never blocks, since it is called while a container changes
// its state. One goroutine forwards: an event that containerd does not take is
// tried again, and those behind it wait, so that an exit never overtakes its
// start. Engines that give no address for events get them in the log.
package events

// SPDX-License-Identifier: Apache-2.0

package transport

import "strconv"

// Addr is one end of a stream over the serial carrier: a port of the guest, or
// the host, which has no ports there.
type Addr struct {
	// Host is set for the host's end.
	Host bool
	// Port is the guest's port.
	Port uint32
}

// Network implements net.Addr.
func (Addr) Network() string { return "katapod" }

// String implements net.Addr.
func (a Addr) String() string {
	if a.Host {
		return "host"
	}
	return "guest:" + strconv.FormatUint(uint64(a.Port), 10)
}

// SPDX-License-Identifier: Apache-2.0

// Package forward carries TCP connections to ports of the guest's loopback.
//
// An agent that lists [Feature] among its extra_features takes streams on guest
// port 1028. The host writes the wanted TCP port as two bytes, big endian. The
// agent dials that port of 127.0.0.1, then of ::1, and answers with one byte: 0
// when it is connected and 1 when it is refused, after which it closes. Once
// connected, the stream carries the connection's bytes, and each direction ends
// by itself.
package forward

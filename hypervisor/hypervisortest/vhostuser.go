// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// Answered asks a daemon for its features over its socket, as a VMM does first:
// VHOST_USER_GET_FEATURES of QEMU's docs/interop/vhost-user.rst. A daemon has confined
// itself before it reads a message, and an answer alone proves that: what /proc tells of
// it changes step by step until then.
func Answered(t testing.TB, conn net.Conn) {
	t.Helper()
	// A header is a request, flags, and the size of what follows.
	type header struct{ Request, Flags, Size uint32 }
	const getFeatures, version, reply = 1, 1, 1 << 2
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := binary.Write(conn, binary.LittleEndian, header{getFeatures, version, 0}); err != nil {
		t.Fatalf("ask the daemon for its features: %v", err)
	}
	var got struct {
		Header   header
		Features uint64
	}
	if err := binary.Read(conn, binary.LittleEndian, &got); err != nil {
		t.Fatalf("the daemon does not tell its features: %v", err)
	}
	if want := (header{getFeatures, version | reply, 8}); got.Header != want {
		t.Fatalf("the daemon answers %+v, want %+v", got.Header, want)
	}
}

// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Bytes of an earlier connection may still sit in a virtio-serial port when a
// new one begins. So the host opens each session with a sync line that carries
// a random id, the guest answers with the same id, and both drop all bytes
// before the line they wait for.
//
//	host:  "KATAPOD-MUX 1 HELLO <32 hex digits>\n"
//	guest: "KATAPOD-MUX 1 READY <32 hex digits>\n"
//
// The first byte can't be that of a frame, whose version is zero; so a guest
// in a session notices a host that begins anew.
const (
	syncMagic = "KATAPOD-MUX 1 "
	syncHello = syncMagic + "HELLO "
	syncReady = syncMagic + "READY "
	idDigits  = 32
	// syncLen is the length of either line with its newline.
	syncLen = len(syncHello) + idDigits + 1
	// maxStale bounds what is dropped before a sync line. It is more than the
	// buffers between host and guest can hold.
	maxStale = 4 << 20
)

// errNoSync says that the other end sends, but not what begins a session.
var errNoSync = errors.New("no sync line came")

// newSessionID returns a random id in hex digits.
func newSessionID() string {
	var b [idDigits / 2]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// awaitSync drops bytes until a line made of prefix and an id has passed, and
// returns the id. A non-empty want is the only id it accepts.
func awaitSync(r io.ByteReader, prefix, want string) (string, error) {
	tail := make([]byte, 0, 16*syncLen)
	for range maxStale {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if len(tail) == cap(tail) {
			tail = tail[:copy(tail, tail[len(tail)-syncLen:])]
		}
		tail = append(tail, b)
		if b != '\n' || len(tail) < syncLen {
			continue
		}
		if id, ok := parseSync(tail[len(tail)-syncLen:], prefix); ok && (want == "" || id == want) {
			return id, nil
		}
	}
	return "", fmt.Errorf("%w in %d bytes", errNoSync, maxStale)
}

// parseSync takes a line of syncLen bytes apart.
func parseSync(line []byte, prefix string) (string, bool) {
	id, ok := bytes.CutPrefix(line, []byte(prefix))
	if !ok || len(id) != idDigits+1 || id[idDigits] != '\n' {
		return "", false
	}
	id = id[:idDigits]
	if len(bytes.Trim(id, "0123456789abcdef")) > 0 {
		return "", false
	}
	return string(id), true
}

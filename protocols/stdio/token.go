// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
)

// Feature is the name under which an agent announces stdio streams in
// AgentDetails.extra_features.
const Feature = "katapod.stdio-streams"

// Token names one stream of one process within a VM. Zero means no stream.
type Token uint32

// NewToken returns a random token that is not zero.
func NewToken() Token {
	for {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
		if t := Token(binary.BigEndian.Uint32(b[:])); t != 0 {
			return t
		}
	}
}

// Write sends the token as the first bytes of a stream.
func (t Token) Write(w io.Writer) error {
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(t))); err != nil {
		return fmt.Errorf("send the token of a stdio stream: %w", err)
	}
	return nil
}

// ReadToken reads the token that begins a stream. A zero token is an error.
func ReadToken(r io.Reader) (Token, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("read the token of a stdio stream: %w", err)
	}
	t := Token(binary.BigEndian.Uint32(b[:]))
	if t == 0 {
		return 0, fmt.Errorf("read the token of a stdio stream: zero is not a token")
	}
	return t, nil
}

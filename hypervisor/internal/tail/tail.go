// SPDX-License-Identifier: Apache-2.0

// Package tail keeps the last bytes of a stream that nobody may trust to end:
// a guest's console, or what a helper process writes to standard error.
package tail

import (
	"strings"
	"sync"
)

// Buffer is an io.Writer that remembers the last bytes written to it. It is
// safe for concurrent use. The zero Buffer remembers nothing; use [New].
type Buffer struct {
	// mu guards the data.
	mu    sync.Mutex
	limit int
	data  []byte
}

// New returns a Buffer that remembers at most limit bytes.
func New(limit int) *Buffer {
	return &Buffer{limit: limit}
}

// Write never fails and never blocks on a reader.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(p)
	if n >= b.limit {
		b.data = append(b.data[:0], p[n-b.limit:]...)
		return n, nil
	}
	if drop := len(b.data) + n - b.limit; drop > 0 {
		b.data = append(b.data[:0], b.data[drop:]...)
	}
	b.data = append(b.data, p...)
	return n, nil
}

// String returns what is remembered as printable text: carriage returns are
// dropped and other control bytes replaced, since the bytes come from a guest
// and end in logs and on terminals.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(string(b.data), "?")))
}

func printable(r rune) rune {
	switch {
	case r == '\r':
		return -1
	case r == '\n' || r == '\t':
		return r
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return '?'
	}
	return r
}

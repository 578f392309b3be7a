// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"testing"
)

// FuzzWire reads questions, answers and messages of either end: what is taken is
// written the same way, but for the kind of a question, of which any other than 0 is
// TCP.
func FuzzWire(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x03abc"))
	f.Add([]byte("\xff\xff\xff\xff\x01\xff\xff"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		if q, err := ReadQuestion(bytes.NewReader(b)); err == nil {
			if err := q.Write(&out); err != nil || !bytes.HasPrefix(b[5:], out.Bytes()[5:]) || !bytes.Equal(b[:4], out.Bytes()[:4]) {
				t.Fatalf("the question %x was written as %x, %v", b, out.Bytes(), err)
			}
		}
		out.Reset()
		if a, err := ReadAnswer(bytes.NewReader(b)); err == nil {
			if err := a.Write(&out); err != nil || !bytes.HasPrefix(b, out.Bytes()) {
				t.Fatalf("the answer %x was written as %x, %v", b, out.Bytes(), err)
			}
		}
		out.Reset()
		if m, err := ReadMessage(bytes.NewReader(b)); err == nil {
			if err := WriteMessage(&out, m); err != nil || !bytes.HasPrefix(b, out.Bytes()) {
				t.Fatalf("the message %x was written as %x, %v", b, out.Bytes(), err)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"bytes"
	"io"
	"testing"
)

// FuzzAnswer has a guest answer anything to a request: only a zero byte is a
// connection, and what follows it stays for the connection.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"\x00", "\x01", "", "\x02x", "\x00HTTP/1.1 200 OK"} {
		f.Add([]byte(s), uint16(80))
	}
	f.Fuzz(func(t *testing.T, said []byte, port uint16) {
		r := bytes.NewReader(said)
		err := Request(struct {
			io.Reader
			io.Writer
		}{r, io.Discard}, port)
		if (err == nil) != (len(said) > 0 && said[0] == connected) {
			t.Fatalf("%x gave %v", said, err)
		}
		if taken := len(said) - r.Len(); taken > 1 {
			t.Fatalf("%d bytes were taken", taken)
		}
	})
}

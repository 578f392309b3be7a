// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"fmt"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/encoding/protowire"
)

// fields are the fields of one protobuf message by number, in order of
// appearance. Those of a fixed size are left out: the messages read here have
// none that matters.
type fields map[protowire.Number][]field

type field struct {
	number uint64 // of a varint
	bytes  []byte // of a string, bytes or message
}

// parse splits a message. Anything malformed is errdefs.ErrInvalidArgument.
func parse(message []byte) (fields, error) {
	all := fields{}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, malformed(n)
		}
		message = message[n:]
		var f field
		switch kind {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return nil, malformed(n)
		}
		message = message[n:]
		if kind == protowire.VarintType || kind == protowire.BytesType {
			all[number] = append(all[number], f)
		}
	}
	return all, nil
}

func malformed(n int) error {
	return fmt.Errorf("not a protobuf message: %w: %w", protowire.ParseError(n), errdefs.ErrInvalidArgument)
}

// last is the value that counts when a field appears more than once.
func (f fields) last(n protowire.Number) field {
	if list := f[n]; len(list) > 0 {
		return list[len(list)-1]
	}
	return field{}
}

func (f fields) text(n protowire.Number) string { return string(f.last(n).bytes) }

func (f fields) integer(n protowire.Number) int64 { return int64(f.last(n).number) }

// texts is a repeated string.
func (f fields) texts(n protowire.Number) []string {
	list := make([]string, 0, len(f[n]))
	for _, each := range f[n] {
		list = append(list, string(each.bytes))
	}
	return list
}

// message is an embedded message; one that is absent is empty.
func (f fields) message(n protowire.Number) (fields, error) { return parse(f.last(n).bytes) }

// pairs is a map of strings.
func (f fields) pairs(n protowire.Number) (map[string]string, error) {
	out := make(map[string]string, len(f[n]))
	for _, each := range f[n] {
		entry, err := parse(each.bytes)
		if err != nil {
			return nil, err
		}
		out[entry.text(1)] = entry.text(2)
	}
	return out, nil
}

// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/containerd/errdefs"
)

// maxSize bounds a ledger, in bytes. A pod of a thousand mounts with its struck out
// lines is far below it.
const maxSize = 16 << 20

// Operations of a line.
const (
	opAcquire = "+"
	opRelease = "-"
)

// line is one line of the file.
type line struct {
	Op   string   `json:"op"`
	Kind Kind     `json:"kind"`
	Args []string `json:"args"`
}

func (l line) resource() Resource { return Resource{Kind: l.Kind, Args: l.Args} }

// encode returns the line with its newline.
func (l line) encode() ([]byte, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encoding a ledger line: %w", err)
	}
	return append(data, '\n'), nil
}

// parse returns what data says is held, oldest first, and how many bytes are
// whole lines. Bytes after the last newline are a torn line and are not looked
// at. Everything else is strict: see the package comment.
func parse(data []byte) (held []Resource, whole int, err error) {
	if len(data) > maxSize {
		return nil, 0, fmt.Errorf("the ledger has %d bytes, more than %d: %w", len(data), maxSize, errdefs.ErrInvalidArgument)
	}
	for number := 1; ; number++ {
		end := bytes.IndexByte(data[whole:], '\n')
		if end < 0 {
			return held, whole, nil
		}
		l, err := decode(data[whole : whole+end])
		if err == nil {
			held, err = apply(held, l)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("ledger line %d: %w", number, err)
		}
		whole += end + 1
	}
}

// decode takes a line only in the form that encode writes it in: nothing then
// depends on how a JSON library reads odd ones.
func decode(data []byte) (line, error) {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return line{}, fmt.Errorf("not a ledger line: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	if err := l.resource().validate(); err != nil {
		return line{}, err
	}
	canonical, err := l.encode()
	if err != nil {
		return line{}, err
	}
	if !bytes.Equal(canonical[:len(canonical)-1], data) {
		return line{}, fmt.Errorf("not a line that this program wrote: %w", errdefs.ErrInvalidArgument)
	}
	return l, nil
}

// apply adds or strikes out.
func apply(held []Resource, l line) ([]Resource, error) {
	r := l.resource()
	at := -1
	for i, h := range held {
		if h.Equal(r) {
			at = i
		}
	}
	switch {
	case l.Op == opAcquire && at < 0:
		return append(held, r), nil
	case l.Op == opAcquire:
		return nil, fmt.Errorf("%s is held already: %w", r, errdefs.ErrAlreadyExists)
	case l.Op == opRelease && at >= 0:
		return append(held[:at:at], held[at+1:]...), nil
	case l.Op == opRelease:
		return nil, fmt.Errorf("%s is not held: %w", r, errdefs.ErrNotFound)
	}
	return nil, fmt.Errorf("operation %q is not known: %w", l.Op, errdefs.ErrInvalidArgument)
}

// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/containerd/errdefs"
)

// Paths are the names that the engine gave, each possibly empty.
type Paths struct {
	Stdin, Stdout, Stderr string
	// Terminal means that Stdout carries all output.
	Terminal bool
}

// HasStdin, HasStdout and HasStderr tell which streams the process needs.
func (p Paths) HasStdin() bool  { return p.Stdin != "" }
func (p Paths) HasStdout() bool { return p.Stdout != "" }
func (p Paths) HasStderr() bool { return p.Stderr != "" && !p.Terminal }

// Schemes of a name.
const (
	schemeFIFO   = "fifo"
	schemeFile   = "file"
	schemeBinary = "binary"
)

// target is a parsed name.
type target struct {
	scheme, path string
	// args of a logging program, in the order of the name.
	args []string
}

func parse(name string) (target, error) {
	if !strings.Contains(name, "://") {
		return target{scheme: schemeFIFO, path: name}, nil
	}
	u, err := url.Parse(name)
	if err != nil {
		return target{}, fmt.Errorf("the engine named %q for a stream, which is not a URI: %w: %w", name, errdefs.ErrInvalidArgument, err)
	}
	if u.Path == "" {
		return target{}, fmt.Errorf("the engine named %q for a stream, which has no path: %w", name, errdefs.ErrInvalidArgument)
	}
	t := target{scheme: u.Scheme, path: u.Path}
	switch u.Scheme {
	case schemeFIFO, schemeFile:
	case schemeBinary:
		if t.args, err = arguments(u.RawQuery); err != nil {
			return target{}, fmt.Errorf("the arguments in %q: %w", name, err)
		}
	default:
		return target{}, fmt.Errorf("the engine named %q for a stream; known schemes are fifo, file and binary: %w", name, errdefs.ErrNotImplemented)
	}
	return t, nil
}

// arguments turns a=b&c into "a", "b", "c".
func arguments(query string) ([]string, error) {
	var args []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		for _, part := range []string{key, value} {
			text, err := url.QueryUnescape(part)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errdefs.ErrInvalidArgument, err)
			}
			if text != "" {
				args = append(args, text)
			}
		}
	}
	return args, nil
}

// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/katapod/katapod/protocols/timeouts"
)

// loaderCache tells the dynamic loader where libraries are, ld.so(8).
const loaderCache = "/etc/ld.so.cache"

// Libraries lists the files that the dynamic loader reads to run a program, with the
// program and the loader themselves. A program that is statically linked, or that is no
// ELF file, needs itself only. The loader is asked, with its option --list that both
// glibc's and musl's have.
func Libraries(ctx context.Context, program string) ([]string, error) {
	loader, err := loaderOf(program)
	if err != nil || loader == "" {
		return []string{program}, nil // The kernel says what is wrong with it.
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.Loader)
	defer cancel()
	cmd := exec.CommandContext(ctx, loader, "--list", program)
	cmd.Env, cmd.Dir = []string{}, "/"
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("ask %s which libraries %s needs: %w; it said: %q", loader, program, err, said.String())
	}
	files := []string{program, loader}
	for line := range strings.Lines(out.String()) {
		if name := libraryIn(line); name != "" && !slices.Contains(files, name) {
			files = append(files, name)
		}
	}
	if _, err := os.Stat(loaderCache); err == nil {
		files = append(files, loaderCache)
	}
	return files, nil
}

// libraryIn is the path in a line of the loader's list, "libc.so.6 => /lib/libc.so.6
// (0x7f...)" or "/lib/ld.so (0x7f...)". The kernel's own library has none.
func libraryIn(line string) string {
	_, found, ok := strings.Cut(line, "=>")
	if !ok {
		found = line
	}
	fields := strings.Fields(found)
	if len(fields) == 0 || !strings.HasPrefix(fields[0], "/") {
		return ""
	}
	return fields[0]
}

// loaderOf is the dynamic loader that a program names, "" for none.
func loaderOf(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", err
	}
	defer f.Close() // Read only: nothing to lose.
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, min(p.Filesz, 4096))
		if _, err := p.ReadAt(name, 0); err != nil {
			return "", fmt.Errorf("read the name of its loader: %w", err)
		}
		return string(bytes.TrimRight(name, "\x00")), nil
	}
	return "", nil
}

// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadAhead(t *testing.T) {
	sys, at := t.TempDir(), t.TempDir()
	if err := readAhead(sys, at, 512); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), at) {
		t.Errorf("without a backing device the error is %v", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(at, &st); err != nil {
		t.Fatal(err)
	}
	knob := filepath.Join(sys, "class/bdi", fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)), "read_ahead_kb")
	if err := os.MkdirAll(filepath.Dir(knob), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(knob, []byte("128\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readAhead(sys, at, 512); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(knob); err != nil || string(text) != "512" {
		t.Errorf("the kernel was told %q, error %v", text, err)
	}
	if err := readAhead(sys, filepath.Join(at, "none"), 512); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a mount point that is not there the error is %v", err)
	}
}

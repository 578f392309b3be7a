// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor/confine"
	"github.com/katapod/katapod/internal/timeouts"
)

// findingsDir keeps what was found out about programs until the host's next boot.
const findingsDir = "/run/katapod"

// program is what a QEMU needs to run: its files, and the directories of its
// firmware.
type program struct {
	Files       []programFile `json:"files"`
	Directories []string      `json:"directories"`
}

// programFile is a file, and how one knows that it is the same.
type programFile struct {
	Path    string        `json:"path"`
	Device  uint64        `json:"device"`
	Inode   uint64        `json:"inode"`
	Changed unix.Timespec `json:"changed"` // of the inode, which nobody can set
}

func (p program) paths() []string {
	var all []string
	for _, f := range p.Files {
		all = append(all, f.Path)
	}
	return append(all, p.Directories...)
}

// knownProgram is what the QEMU at binary needs, which is found out anew when one of
// its files was changed.
func knownProgram(ctx context.Context, binary string) (program, error) {
	binary, err := filepath.EvalSymlinks(binary)
	if err != nil {
		return program{}, fmt.Errorf("find QEMU: %w", err)
	}
	sum := sha256.Sum256([]byte(binary))
	finding := filepath.Join(findingsDir, "qemu-"+hex.EncodeToString(sum[:8])+".json")
	var p program
	if text, err := os.ReadFile(finding); err == nil && json.Unmarshal(text, &p) == nil && p.unchanged() {
		return p, nil
	}
	if p, err = findProgram(ctx, binary); err != nil {
		return program{}, err
	}
	// What cannot be kept is found out again.
	_ = p.store(finding)
	return p, nil
}

// findProgram asks the dynamic loader and QEMU itself.
func findProgram(ctx context.Context, binary string) (program, error) {
	names, err := confine.Libraries(ctx, binary)
	if err != nil {
		return program{}, err
	}
	for _, module := range modules(binary) {
		more, err := confine.Libraries(ctx, module)
		if err != nil {
			return program{}, err
		}
		names = append(names, more...)
	}
	if len(names) > 1 {
		names = append(names, confine.LoaderCache)
	}
	slices.Sort(names)
	var p program
	for _, name := range slices.Compact(names) {
		f := programFile{Path: name}
		if f.look() != nil && name != binary {
			continue // ld.so.cache need not be there.
		}
		p.Files = append(p.Files, f)
	}
	p.Directories = firmware(ctx, binary)
	return p, nil
}

// modules are the parts that some distributions keep of the translator apart from
// the program: in a directory qemu beside libraries.
func modules(binary string) []string {
	prefix := filepath.Dir(filepath.Dir(binary))
	var all []string
	for _, dir := range []string{"lib/*/qemu", "lib/qemu", "lib64/qemu"} {
		found, _ := filepath.Glob(filepath.Join(prefix, dir, "accel-*.so")) // The pattern is a good one.
		all = append(all, found...)
	}
	return all
}

// firmware are the directories that QEMU looks for firmware in. A QEMU that does not
// say has none, and complains when it is started.
func firmware(ctx context.Context, binary string) []string {
	ctx, cancel := context.WithTimeout(ctx, timeouts.AskVMM)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-L", "help")
	cmd.Env, cmd.Dir = []string{}, "/"
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return nil
	}
	var all []string
	for line := range strings.Lines(out.String()) {
		dir := strings.TrimSpace(line)
		if !filepath.IsAbs(dir) {
			continue
		}
		dir = filepath.Clean(dir)
		if info, err := os.Stat(dir); err == nil && info.IsDir() && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}

// look notes which file is at the path.
func (f *programFile) look() error {
	var st unix.Stat_t
	if err := unix.Stat(f.Path, &st); err != nil {
		return err
	}
	f.Device, f.Inode, f.Changed = st.Dev, st.Ino, st.Ctim
	return nil
}

func (p program) unchanged() bool {
	for _, f := range p.Files {
		now := programFile{Path: f.Path}
		if now.look() != nil || now != f {
			return false
		}
	}
	for _, dir := range p.Directories {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return false
		}
	}
	return len(p.Files) > 0
}

// store replaces the file in one step, since several shims may start at once.
func (p program) store(path string) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "qemu.*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Needs are what a program needs of the host to run.
type Needs struct {
	// Files are read-only: the program, libraries, what else it opens.
	Files []File `json:"files"`
	// Directories are shown as a whole.
	Directories []string `json:"directories"`
}

// File is a file, and how one knows that it is the same.
type File struct {
	Path    string        `json:"path"`
	Device  uint64        `json:"device"`
	Inode   uint64        `json:"inode"`
	Changed unix.Timespec `json:"changed"` // of the inode, which nobody can set
}

// NeedsOf are the files of those names, each once; of names that are not there is none.
func NeedsOf(names ...string) Needs {
	slices.Sort(names)
	var n Needs
	for _, name := range slices.Compact(names) {
		f := File{Path: name}
		if f.look() == nil {
			n.Files = append(n.Files, f)
		}
	}
	return n
}

// Binds show all of it under its own names, read-only.
func (n Needs) Binds() []Bind {
	var all []Bind
	for _, f := range n.Files {
		all = append(all, Bind{From: f.Path})
	}
	for _, dir := range n.Directories {
		all = append(all, Bind{From: dir})
	}
	return all
}

// KnownNeeds are what program needs. find finds it out, which takes some tens of
// milliseconds, and is asked again when one of the files has changed. dir keeps it
// until then, best on a tmpfs; empty keeps nothing.
func KnownNeeds(ctx context.Context, dir, program string, find func(ctx context.Context, program string) (Needs, error)) (Needs, error) {
	program, err := filepath.EvalSymlinks(program)
	if err != nil {
		return Needs{}, fmt.Errorf("find the program: %w", err)
	}
	if dir == "" {
		return find(ctx, program)
	}
	sum := sha256.Sum256([]byte(program))
	kept := filepath.Join(dir, "needs-"+hex.EncodeToString(sum[:8])+".json")
	var n Needs
	if text, err := os.ReadFile(kept); err == nil && json.Unmarshal(text, &n) == nil && n.unchanged(program) {
		return n, nil
	}
	if n, err = find(ctx, program); err != nil {
		return Needs{}, err
	}
	// What cannot be kept is found out again.
	_ = n.store(kept)
	return n, nil
}

// look notes which file is at the path.
func (f *File) look() error {
	var st unix.Stat_t
	if err := unix.Stat(f.Path, &st); err != nil {
		return err
	}
	f.Device, f.Inode, f.Changed = st.Dev, st.Ino, st.Ctim
	return nil
}

// unchanged tells whether n is what program needs still.
func (n Needs) unchanged(program string) bool {
	for _, f := range n.Files {
		now := File{Path: f.Path}
		if now.look() != nil || now != f {
			return false
		}
	}
	for _, dir := range n.Directories {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return false
		}
	}
	return slices.ContainsFunc(n.Files, func(f File) bool { return f.Path == program })
}

// store replaces the file in one step, since several shims may start at once.
func (n Needs) store(path string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "needs.*")
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

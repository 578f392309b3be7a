// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is the directory of one cgroup.
type Dir string

// Exists reports whether the cgroup is there.
func (d Dir) Exists() bool {
	_, err := os.Stat(string(d))
	return err == nil
}

func (d Dir) path(file string) string { return filepath.Join(string(d), file) }

// Read returns a file's text without white space around it.
func (d Dir) Read(file string) (string, error) {
	data, err := readFile(d.path(file))
	if err != nil {
		return "", fmt.Errorf("read a cgroup's file: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Write sets a file.
func (d Dir) Write(file, value string) error {
	if err := os.WriteFile(d.path(file), []byte(value), 0); err != nil {
		return fmt.Errorf("set a cgroup's file to %q: %w", value, err)
	}
	return nil
}

// Uint returns a file's number; "max" is the largest one. A file that is not
// there, because its controller is not, is zero and no error.
func (d Dir) Uint(file string) (uint64, error) {
	text, err := d.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return parse(file, text)
}

// Max stands for "max", no limit.
const Max = ^uint64(0)

func parse(what, text string) (uint64, error) {
	if text == "max" {
		return Max, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read a number from the cgroup's %s: %w", what, err)
	}
	return n, nil
}

// Keyed returns a flat keyed file: one "key value" per line. A file that is not
// there is an empty map and no error.
func (d Dir) Keyed(file string) (map[string]uint64, error) {
	out := map[string]uint64{}
	text, err := d.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		if out[key], err = parse(file, value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Procs returns the PIDs in the cgroup and in those below it.
func (d Dir) Procs() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return ignoreGone(err)
		}
		text, err := Dir(path).Read("cgroup.procs")
		if err != nil {
			return ignoreGone(err)
		}
		for word := range strings.FieldsSeq(text) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return fmt.Errorf("read the cgroup's processes: %w", err)
			}
			pids = append(pids, pid)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the processes of cgroup %s: %w", d, err)
	}
	return pids, nil
}

// ignoreGone forgets that a cgroup went away, or (a threaded one) has no list
// of processes.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// Kill kills every process in the cgroup and in those below it, at once
// (cgroup.kill, Linux 5.14). A cgroup that is not there has none.
func (d Dir) Kill() error {
	if err := d.Write("cgroup.kill", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("kill all in cgroup %s: %w", d, err)
	}
	return nil
}

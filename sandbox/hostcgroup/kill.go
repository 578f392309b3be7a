// SPDX-License-Identifier: Apache-2.0

package hostcgroup

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

// killIn kills the processes in directories of cgroups and below them, but this
// one. A directory that is gone is empty.
func killIn(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				err = killListed(filepath.Join(path, "cgroup.procs"))
			}
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
				return nil
			}
			return err
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func killListed(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, word := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("%s lists %q, which is no process: %w", path, word, err)
		}
		if pid == os.Getpid() || pid == 0 { // 0 is a process that this namespace does not see
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

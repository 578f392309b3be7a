// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
)

// checkFiles is the real Drivers.Check: it finds the files that the
// configuration names.
func checkFiles(c config.Config) error {
	h := c.Hypervisor
	needed := []struct {
		code       failure.Code
		what, path string
		program    bool
	}{
		{failure.VMMMissing, "the hypervisor " + h.Name, h.Path, true},
		{failure.KernelMissing, "the guest kernel", h.Kernel, false},
		{failure.ImageMissing, "the guest initrd", h.Initrd, false},
		{failure.ImageMissing, "the guest image", h.Image, false},
		{failure.VirtiofsdMissing, "virtiofsd", h.Virtiofsd(), true},
	}
	for _, n := range needed {
		optional := n.path == "" && n.code == failure.ImageMissing && h.Image+h.Initrd != "" ||
			n.code == failure.VirtiofsdMissing && h.SharedFS != config.SharedFSVirtioFS
		if optional {
			continue
		}
		if err := checkFile(n.what, n.path, n.program); err != nil {
			return failure.With(n.code, err)
		}
	}
	return nil
}

func checkFile(what, path string, program bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing at %q: %w", what, path, errdefs.ErrNotFound)
	case err != nil:
		return fmt.Errorf("%s cannot be used: %w", what, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s at %q is not a file: %w", what, path, errdefs.ErrInvalidArgument)
	case info.Size() == 0:
		return fmt.Errorf("%s at %q is empty: %w", what, path, errdefs.ErrInvalidArgument)
	case program && info.Mode()&0o111 == 0:
		return fmt.Errorf("%s at %q is not executable: %w", what, path, errdefs.ErrInvalidArgument)
	}
	return nil
}

// hostSize is the real Drivers.Host. Memory is MemTotal of proc(5)'s meminfo.
func hostSize() (cpus, memoryMiB int, err error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close() // read only: nothing to lose
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int
		if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); n == 1 {
			return runtime.NumCPU(), kib / 1024, nil
		}
	}
	return 0, 0, errors.New("/proc/meminfo has no MemTotal")
}

// mkfs is the real Drivers.Mkfs.
func mkfs(ctx context.Context, fsType, path string) error {
	program := "mkfs." + fsType
	where, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("%s is missing on the host, which has to make a file system for a container; install it (Debian: e2fsprogs): %w",
			program, errdefs.ErrNotFound)
	}
	args := []string{path}
	if fsType == "ext4" {
		// A fresh disk of one container needs no journal for a crash, and its
		// empty tables can be written later.
		args = []string{"-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1", path}
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.Mkfs)
	defer cancel()
	out, err := exec.CommandContext(ctx, where, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, path, err, strings.TrimSpace(string(out)))
	}
	return nil
}

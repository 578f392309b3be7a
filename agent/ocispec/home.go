// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// GiveHome sets HOME=/ for a process that has no HOME and whose user has no
// account in the container, as runc does and programs rely on. crun looks
// accounts up as well, and leaves HOME out for a user without one. A container
// whose accounts are mounted is left to crun: they are not to be seen here.
func GiveHome(container *specs.Spec, p *specs.Process) {
	has := slices.ContainsFunc(p.Env, func(v string) bool { return strings.HasPrefix(v, "HOME=") })
	mounted := slices.ContainsFunc(container.Mounts, func(m specs.Mount) bool {
		at := filepath.Clean(m.Destination)
		return at == "/etc" || at == "/etc/passwd"
	})
	if !has && !mounted && !hasAccount(container.Root.Path, p.User.UID) {
		p.Env = append(p.Env, "HOME=/")
	}
}

// longestPasswd bounds what is read of a file that the container may have
// written.
const longestPasswd = 1 << 20

// hasAccount looks for the user in the root's etc/passwd; see passwd(5). Without
// a file that can be read nobody has an account.
func hasAccount(root string, uid uint32) bool {
	file, err := openPasswd(root)
	if err != nil {
		return false
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, longestPasswd))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) > 2 && fields[2] == strconv.FormatUint(uint64(uid), 10) {
			return true
		}
	}
	return false // what cannot be read as accounts, a line without an end for one, has none
}

// openPasswd follows no link out of the root, and opens nothing but a file.
func openPasswd(root string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's root %s: %w", root, err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, "etc/passwd", &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, fmt.Errorf("open the container's accounts: %w", err)
	}
	file := os.NewFile(uintptr(fd), "etc/passwd")
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("the container's accounts are no file: %w", errdefs.ErrInvalidArgument), err, file.Close())
	}
	return file, nil
}

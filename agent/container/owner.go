// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// giveStreams makes the process's user the owner of its pipes, so that it can
// open them anew (/dev/stderr). In a user namespace crun is nobody who could.
func giveStreams(files Files, spec *specs.Linux, user specs.User) error {
	if spec == nil || len(spec.UIDMappings) == 0 || files.Terminal {
		return nil
	}
	uid, gid := inGuest(spec.UIDMappings, user.UID), inGuest(spec.GIDMappings, user.GID)
	for _, f := range []*os.File{files.Stdin, files.Stdout, files.Stderr} {
		info, err := f.Stat()
		if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			continue // /dev/null, which is everybody's
		}
		if err := f.Chown(uid, gid); err != nil {
			return fmt.Errorf("give a standard stream to user %d of the guest: %w", uid, err)
		}
	}
	return nil
}

// inGuest returns the guest's id of one in a user namespace, -1 when it has none.
func inGuest(list []specs.LinuxIDMapping, id uint32) int {
	for _, m := range list {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return int(m.HostID + (id - m.ContainerID))
		}
	}
	return -1
}

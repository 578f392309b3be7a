// SPDX-License-Identifier: Apache-2.0

package container

import (
	"log/slog"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// refresh has the kernel ask the host anew about what a container binds. Engines
// write hosts and resolv.conf between creation and start, when the network is
// known, and the kernel goes by the size that it saw at the creation for as long
// as the host allowed it: a second with virtiofsd, in which a program would read
// a file that ends in mid-sentence.
func refresh(mounts []specs.Mount) {
	for _, m := range mounts {
		if !slices.Contains(m.Options, "bind") && !slices.Contains(m.Options, "rbind") && m.Type != "bind" {
			continue
		}
		var fresh unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, m.Source, unix.AT_STATX_FORCE_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &fresh)
		if err != nil {
			slog.Warn("a mount's source may be seen as it was", "source", m.Source, "error", err)
		}
	}
}

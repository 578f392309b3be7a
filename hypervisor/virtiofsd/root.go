// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor/confine"
)

// sharedAt is the shared directory's name for the daemon. It makes it its root, in
// namespaces of its own, before it serves anything.
const sharedAt = "/share"

// rootFor makes the daemon's root directory: its program with libraries, the shared
// directory, and what it reads at its start. What is mounted below the shared directory
// later appears there, and can be written to as its own mount says. The shared directory
// itself cannot: the runtime makes mount points there, by names that a guest could
// otherwise have taken before with links to elsewhere.
func rootFor(ctx context.Context, c Config, f flavor) (*confine.Root, error) {
	needs, err := confine.KnownNeeds(ctx, c.Findings, c.Binary, func(ctx context.Context, program string) (confine.Needs, error) {
		files, err := confine.Libraries(ctx, program)
		return confine.NeedsOf(files...), err
	})
	if err != nil {
		return nil, fmt.Errorf("find out what virtiofsd needs: %w", err)
	}
	root, err := confine.NewRoot(confine.Bind{From: c.SharedDir, At: sharedAt, Tree: true})
	if err != nil {
		return nil, err
	}
	root.Bind(needs.Binds()...)
	// Before they mount a /proc of their own, the daemon in C looks at the bound of open
	// files, and the one in Rust at itself.
	early := "/proc/sys/fs/file-max"
	if f.rust {
		early = "/proc"
	}
	root.Bind(confine.Bind{From: early})
	if err := root.Device(os.DevNull, 0); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// needed are the capabilities that the daemon may have. With the last three it makes
// its namespaces, goes there, and drops what it does not need, these among it; with the
// others it serves files of any user to a guest, which is root of its own.
func needed() []uintptr {
	return []uintptr{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID,
		unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_MKNOD, unix.CAP_SETFCAP,
		unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SETPCAP,
	}
}

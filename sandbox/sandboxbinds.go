// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/storage"
)

// bindsDir holds the configured sandbox_bind_mounts in the shared directory, so
// that the guest finds them below the share's mount point, where users of Kata
// know them.
const bindsDir = "sandbox-mounts"

// sandboxBind is one entry of sandbox_bind_mounts.
type sandboxBind struct {
	source, target string
	access         storage.Access
}

// sandboxBinds reads the configuration: paths, read-only unless they end in
// ":rw"; ":ro" says the default.
func (s *Sandbox) sandboxBinds() []sandboxBind {
	var binds []sandboxBind
	for _, entry := range s.options.Config.Runtime.SandboxBindMounts {
		access := storage.ReadOnlyBelow
		source, writable := strings.CutSuffix(entry, ":rw")
		if writable {
			access = storage.Writable
		}
		source = filepath.Clean(strings.TrimSuffix(source, ":ro"))
		binds = append(binds, sandboxBind{
			source: source, target: filepath.Join(s.dirs.share(), bindsDir, filepath.Base(source)), access: access,
		})
	}
	return binds
}

// bindForAll binds what the configuration wants every pod to have.
func (s *Sandbox) bindForAll(ctx context.Context) error {
	binds := s.sandboxBinds()
	if len(binds) == 0 {
		return nil
	}
	if err := os.Mkdir(filepath.Join(s.dirs.share(), bindsDir), 0o755); err != nil {
		return fmt.Errorf("make the directory of sandbox_bind_mounts: %w", err)
	}
	for _, b := range binds {
		info, err := os.Stat(b.source)
		if err != nil {
			return fmt.Errorf("sandbox_bind_mounts: %w", err)
		}
		if err := makeMountPoint(b.target, info.IsDir()); err != nil {
			return fmt.Errorf("sandbox_bind_mounts: two entries end in the same name, or: %w", err)
		}
		err = s.resources.acquire(ctx, mountOf(b.target), func() error {
			return s.drivers.Mounts.Bind(storage.Share{Source: b.source, Access: b.access, Recursive: true}, b.target)
		})
		if err != nil {
			return fmt.Errorf("sandbox_bind_mounts: share %s: %w", b.source, err)
		}
	}
	return nil
}

// refuseBinds says that they need a share.
func (s *Sandbox) refuseBinds() error {
	if len(s.sandboxBinds()) == 0 {
		return nil
	}
	return failure.With(failure.ConfigInvalid, fmt.Errorf(
		"sandbox_bind_mounts need a file system shared with the guest, but shared_fs is \"none\": %w", errdefs.ErrInvalidArgument))
}

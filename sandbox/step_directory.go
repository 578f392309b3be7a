// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// removeVMDir undoes makeVMDir.
func (s *Sandbox) removeVMDir(ctx context.Context) error {
	return errors.Join(s.resources.release(ctx, dirOf(s.dirs.vm)), s.releaseUser(ctx))
}

// makeVMDir makes the short directory for sockets, and takes a user for the VMM.
func (s *Sandbox) makeVMDir(ctx context.Context) error {
	if err := s.claimUser(ctx); err != nil {
		return err
	}
	return s.resources.acquire(ctx, dirOf(s.dirs.vm), func() error {
		if err := os.MkdirAll(filepath.Dir(s.dirs.vm), 0o711); err != nil {
			return fmt.Errorf("make the directory of all VMs: %w", err)
		}
		if err := os.Mkdir(s.dirs.vm, 0o700); err != nil {
			return fmt.Errorf("make the directory of the VM's sockets: %w", err)
		}
		return nil
	})
}

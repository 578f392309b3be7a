// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/katapod/katapod/sandbox/config"
)

// shares tells whether the pod shares a file system with its guest.
func (s *Sandbox) shares() bool {
	return s.options.Config.Hypervisor.SharedFS == config.SharedFSVirtioFS
}

// startShare makes the shared directory and starts the daemon that serves it.
// The directory is a shared mount before the daemon starts: the daemon works in
// a mount namespace of its own, and sees later mounts only by propagation.
func (s *Sandbox) startShare(ctx context.Context) error {
	if !s.shares() {
		return s.refuseBinds()
	}
	dir := s.dirs.share()
	// It is the root of a file system in the guest, where others than root, of a
	// user namespace, may have to pass; on the host, its parent keeps them out.
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make the shared directory: %w", err)
	}
	err := s.resources.acquire(ctx, mountOf(dir), func() error { return s.drivers.Mounts.Share(dir) })
	if err != nil {
		return fmt.Errorf("make the shared directory a mount that propagates: %w", err)
	}
	if err := s.bindForAll(ctx); err != nil {
		return withCode(CodeShareFailed, err)
	}
	h := s.options.Config.Hypervisor
	daemon, err := s.drivers.StartShare(ctx, ShareConfig{
		Binary: h.Virtiofsd(), Socket: s.shareSocket(), Dir: dir, Cache: h.VirtioFSCache, Debug: h.Debug,
		ExtraArgs: h.VirtioFSExtraArgs, Spawned: s.adopt,
	})
	if err != nil {
		return fmt.Errorf("start virtiofsd: %w", err)
	}
	s.parts.with(func(p *parts) { p.share = daemon })
	go s.watchShare(daemon)
	return nil
}

// removeVMDir undoes makeVMDir.
func (s *Sandbox) removeVMDir(ctx context.Context) error {
	return s.resources.release(ctx, dirOf(s.dirs.vm))
}

// makeVMDir makes the short directory for sockets.
func (s *Sandbox) makeVMDir(ctx context.Context) error {
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

// shareSocket is where the daemon listens.
func (s *Sandbox) shareSocket() string { return filepath.Join(s.dirs.vm, "fs.sock") }

func (s *Sandbox) undoShare(ctx context.Context) error {
	if err := s.undoShareDaemon(ctx); err != nil {
		return err
	}
	if s.shares() {
		for _, b := range s.sandboxBinds() {
			if err := s.resources.release(ctx, mountOf(b.target)); err != nil {
				return err
			}
		}
		if err := s.resources.release(ctx, mountOf(s.dirs.share())); err != nil {
			return err
		}
	}
	return nil
}

// undoShareDaemon ends the daemon; a second call does nothing.
func (s *Sandbox) undoShareDaemon(ctx context.Context) error {
	var daemon ShareDaemon
	s.parts.with(func(p *parts) { daemon = p.share })
	if daemon == nil {
		return nil
	}
	if err := daemon.Stop(ctx); err != nil {
		return fmt.Errorf("stop virtiofsd: %w", err)
	}
	return nil
}

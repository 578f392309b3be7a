// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/ledger"
	"github.com/katapod/katapod/sandbox/storage"
)

// podShare is the file system that the pod shares with its guest. It is made when
// something needs it first, which may be never.
type podShare struct {
	// turn is taken by whoever makes or ends it.
	turn turns
	// begun says that there is something of it on the host, inVM that the VM has
	// it. They are the turn's, but for the pod's start, which is alone.
	begun, inVM bool
	// processes are those of the daemon, as the ledger has them.
	processes []ledger.Resource
}

func newPodShare() podShare { return podShare{turn: make(turns, 1)} }

// shares tells whether the pod may share a file system with its guest.
func (s *Sandbox) shares() bool {
	return s.options.Config.Hypervisor.SharedFS == config.SharedFSVirtioFS
}

// sharesFromStart tells whether something needs the share before any container is
// made, or surely will.
func (s *Sandbox) sharesFromStart() bool {
	return s.shares() && (s.options.SharesSoon || len(s.sandboxBinds()) > 0)
}

// earlyShare is the step that makes the share with the VM, nil when it comes later.
func (s *Sandbox) earlyShare() func(context.Context) error {
	if !s.sharesFromStart() {
		return nil
	}
	return s.startShare
}

// checkLaterShare refuses a VMM that cannot take the share later, before it boots.
func (s *Sandbox) checkLaterShare(vm hypervisor.VM) error {
	if !s.shares() || s.share.begun {
		return nil
	}
	_, err := hypervisor.AsSharePlugger(vm)
	return err
}

// startShare serves what is to be there when the VM starts. A VM that boots has it
// from then on, a clone gets it once it answers.
func (s *Sandbox) startShare(ctx context.Context) error {
	daemon, err := s.serveShare(ctx)
	if err != nil {
		return err
	}
	// It ends with the daemon or with the pod's life.
	go s.watchShare(daemon)
	return nil
}

// needShare returns when the VM has the share, which the first caller gives it. A
// failure is the caller's, and the next one tries again.
func (s *Sandbox) needShare(ctx context.Context) error {
	done, err := s.share.turn.enter(ctx)
	if err != nil {
		return fmt.Errorf("wait for the file system that the pod shares with its guest: %w", err)
	}
	defer done()
	if s.share.inVM {
		return nil
	}
	if s.life.over() {
		return context.Cause(s.life.ctx)
	}
	if err := s.runner.timeline.measure(StepShare, func() error { return s.addShare(ctx) }); err != nil {
		return failure.With(classify(StepShare, err), fmt.Errorf("share files of the host with the guest: %w", err))
	}
	if err := s.runner.timeline.write(s.dirs.timeline(), s.Origin()); err != nil {
		s.log.WithError(err).Warn("cannot store when the share was made")
	}
	return nil
}

// addShare gives a running VM the share. On error nothing of it is left.
func (s *Sandbox) addShare(ctx context.Context) error {
	daemon, err := s.serveShare(ctx)
	if err == nil {
		err = s.plugShare(ctx)
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Release)
		defer cancel()
		return errors.Join(err, s.dropShare(undo))
	}
	// It ends with the daemon or with the pod's life.
	go s.watchShare(daemon)
	return nil
}

// serveShare makes the shared directory and starts the daemon that serves it.
// The directory is a shared mount before the daemon starts: the daemon works in
// a mount namespace of its own, and sees later mounts only by propagation.
func (s *Sandbox) serveShare(ctx context.Context) (ShareDaemon, error) {
	dir := s.dirs.share()
	s.share.begun = true
	// It is the root of a file system in the guest, where others than root, of a
	// user namespace, may have to pass; on the host, its parent keeps them out. It
	// is there already when an earlier attempt failed.
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the shared directory: %w", err)
	}
	err := s.resources.acquire(ctx, mountOf(dir), func() error { return s.drivers.Mounts.Share(dir) })
	if err != nil {
		return nil, fmt.Errorf("make the shared directory a mount that propagates: %w", err)
	}
	if err := s.bindForAll(ctx); err != nil {
		return nil, err
	}
	h := s.options.Config.Hypervisor
	daemon, err := s.drivers.StartShare(ctx, ShareConfig{
		Binary: h.Virtiofsd(), Socket: s.shareSocket(), Dir: dir, Cache: h.VirtioFSCache, Debug: h.Debug,
		ExtraArgs: h.VirtioFSExtraArgs, Spawned: s.adoptShare,
	})
	if err != nil {
		return nil, fmt.Errorf("start virtiofsd: %w", err)
	}
	s.parts.with(func(p *parts) { p.share = daemon })
	return daemon, nil
}

// adoptShare is adopt for processes of the daemon.
func (s *Sandbox) adoptShare(pid int) error {
	if what, err := processOf(pid); err == nil {
		s.share.processes = append(s.share.processes, what)
	}
	return s.adopt(pid)
}

// vmShare is the share as the VM gets it.
func (s *Sandbox) vmShare() hypervisor.Share {
	return hypervisor.Share{Tag: storage.ShareTag, Socket: s.shareSocket(), QueueSize: s.options.Config.Hypervisor.VirtioFSQueueSize}
}

// plugShare gives the share to a VM that was started without.
func (s *Sandbox) plugShare(ctx context.Context) error {
	plugger, err := hypervisor.AsSharePlugger(s.machine())
	if err != nil {
		return err
	}
	if _, err := plugger.PlugShare(ctx, s.vmShare()); err != nil {
		return err
	}
	s.share.inVM = true
	return nil
}

// endShareDaemon ends the daemon, once nobody makes a share any more. What is
// mounted for it stays.
func (s *Sandbox) endShareDaemon(ctx context.Context) error {
	done, err := s.share.turn.enter(ctx)
	if err != nil {
		return fmt.Errorf("end the file system that the pod shares with its guest: %w", err)
	}
	defer done()
	return s.stopShareDaemon(ctx)
}

func (s *Sandbox) stopShareDaemon(ctx context.Context) error {
	var daemon ShareDaemon
	s.parts.with(func(p *parts) { daemon = p.share })
	if daemon == nil {
		return nil
	}
	if err := daemon.Stop(ctx); err != nil {
		return fmt.Errorf("stop virtiofsd: %w", err)
	}
	s.parts.with(func(p *parts) { p.share = nil })
	return nil
}

// undoShare releases what there is of the share; its VM has ended.
func (s *Sandbox) undoShare(ctx context.Context) error {
	if err := s.endShareDaemon(ctx); err != nil {
		return err
	}
	return s.dropShare(ctx)
}

// dropShare releases what there is of a share that the VM does not have.
func (s *Sandbox) dropShare(ctx context.Context) error {
	if !s.share.begun {
		return nil
	}
	if err := s.stopShareDaemon(ctx); err != nil {
		return err
	}
	held := s.share.processes
	for _, b := range s.sandboxBinds() {
		held = append(held, mountOf(b.target))
	}
	for _, what := range append(held, mountOf(s.dirs.share())) {
		if err := s.resources.release(ctx, what); err != nil {
			return err
		}
	}
	s.share.processes = nil
	return nil
}

// shareSocket is where the daemon listens.
func (s *Sandbox) shareSocket() string { return filepath.Join(s.dirs.vm, "fs.sock") }

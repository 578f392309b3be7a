// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/protocols/transport"
)

// buildPrefix begins the names of directories that are no template yet, or no
// longer; buildLock is held by the one process that builds.
const (
	buildPrefix = "b-"
	buildLock   = "lock"
)

// Builder makes templates of one configuration.
type Builder struct {
	Store Store
	// Config is that of a clone, without what belongs to one pod: ID, Dir,
	// NetNS, devices and Spawned are not heeded.
	Config hypervisor.Config
	// NewVM makes a VM that is not started.
	NewVM func(hypervisor.Config) (hypervisor.VM, error)
	// Settle bounds how long the guest is left alone before it is saved, to
	// finish its start and give back memory; 0 is [timeouts.TemplateSettle].
	Settle time.Duration
}

// Build makes the template unless it is there, and returns its key. When another
// process builds one, whichever, that is errdefs.ErrAlreadyExists. What stopped a build is
// kept, see [Store.Failed], and nothing else of it.
func (b Builder) Build(ctx context.Context) (Key, error) {
	b.Config = impersonal(b.Config)
	vm, err := b.NewVM(b.Config)
	if err != nil {
		return "", err
	}
	key, from, err := describe(ctx, vm, b.Config)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(b.Store.Dir, 0o700); err != nil {
		return key, fmt.Errorf("make the directory of the templates: %w", err)
	}
	unlock, err := tryLock(filepath.Join(b.Store.Dir, buildLock))
	if err != nil {
		return key, err
	}
	defer unlock()
	if _, err := b.Store.Find(ctx, key); err == nil {
		return key, nil
	}
	b.Store.sweep()
	err = b.build(ctx, key, from)
	if err != nil {
		err = fmt.Errorf("build a template: %w", err)
		// If it cannot be noted the next pod tries again.
		_ = os.WriteFile(b.Store.failed(key), []byte(err.Error()), 0o600)
		return key, err
	}
	_ = os.Remove(b.Store.failed(key)) // There may be none.
	return key, nil
}

// impersonal is cfg without what belongs to one pod.
func impersonal(cfg hypervisor.Config) hypervisor.Config {
	cfg.ID, cfg.Dir, cfg.NetNS, cfg.Spawned = "template", "", "", nil
	cfg.Disks, cfg.NICs, cfg.Shares = nil, nil, nil
	cfg.From, cfg.SaveTo, cfg.Held = nil, nil, false
	return cfg
}

// build makes the template in a directory of its own, which becomes the
// template's in the end.
func (b Builder) build(ctx context.Context, key Key, from ingredients) (err error) {
	dir, err := os.MkdirTemp(b.Store.Dir, buildPrefix)
	if err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	whole := filepath.Join(dir, "whole")
	if err := os.Mkdir(whole, 0o700); err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	saved := snapshotIn(whole)
	b.Config.Dir, b.Config.SaveTo = dir, &saved
	if err := b.saveVM(ctx, saved); err != nil {
		return err
	}
	if err := b.unchanged(ctx, key); err != nil {
		return err
	}
	if _, err := compact(ctx, saved.Memory); err != nil {
		return err
	}
	if err := seal(ctx, whole, key, from); err != nil {
		return err
	}
	bytes, err := allocated(saved)
	if err != nil {
		return err
	}
	if err := b.Store.makeRoom(bytes); err != nil {
		return err
	}
	// What is there is not whole, see Find.
	if err := b.Store.Remove(key); err != nil {
		return err
	}
	if err := os.Rename(whole, b.Store.dir(key)); err != nil {
		return fmt.Errorf("put it in its place: %w", err)
	}
	return nil
}

// saveVM boots a VM, waits for its agent, and saves it.
func (b Builder) saveVM(ctx context.Context, saved hypervisor.Snapshot) (err error) {
	vm, err := b.NewVM(b.Config)
	if err != nil {
		return err
	}
	snapshotter, err := hypervisor.AsSnapshotter(vm)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.TemplateBoot)
	defer cancel()
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.TemplateStop)
		defer cancel()
		err = errors.Join(err, vm.Stop(stop))
	}()
	if err := vm.Start(ctx); err != nil {
		return err
	}
	if err := greet(ctx, vm.Dialer()); err != nil {
		return errors.Join(err, endOf(vm))
	}
	if err := vm.Dialer().Close(); err != nil {
		return fmt.Errorf("let go of the guest: %w", err)
	}
	if err := settle(ctx, saved.Memory, b.Settle); err != nil {
		return err
	}
	return snapshotter.Save(ctx)
}

// unchanged sees that the files the VM was made from are those of the key still,
// so that it is that one's.
func (b Builder) unchanged(ctx context.Context, key Key) error {
	b.Config = impersonal(b.Config)
	vm, err := b.NewVM(b.Config)
	if err != nil {
		return err
	}
	now, err := KeyOf(ctx, vm, b.Config)
	if err == nil && now != key {
		err = fmt.Errorf("the VMM, the kernel or the image was replaced meanwhile: %w", errdefs.ErrAborted)
	}
	return err
}

// endOf is why a VM ended, nil while it runs.
func endOf(vm hypervisor.VM) error {
	select {
	case <-vm.Done():
		return fmt.Errorf("%w; the guest's console: %q", vm.Exit().Cause, vm.Exit().Console)
	default:
		return nil
	}
}

// greet waits for the agent, and asks what every pod asks first, so that a
// clone has done it once.
func greet(ctx context.Context, d transport.Dialer) error {
	conn, err := d.Dial(ctx, transport.PortAgent)
	if err != nil {
		return fmt.Errorf("reach the agent in the guest: %w", err)
	}
	return warmUp(ctx, conn)
}

// tryLock takes the lock of the file at path, which it makes, until unlock is
// called or the process ends. A lock that somebody has is errdefs.ErrAlreadyExists.
func tryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("another process builds one: %w", errdefs.ErrAlreadyExists)
		}
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // Closing unlocks.
}

// sweep removes what builders left that were killed, and old failures; the
// caller has the lock. What it cannot remove stays for the next.
func (s Store) sweep() {
	left, _ := filepath.Glob(filepath.Join(s.Dir, buildPrefix+"*")) // The pattern is a good one.
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
	failures, _ := filepath.Glob(filepath.Join(s.Dir, "*"+failedSuffix))
	for _, path := range failures {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > timeouts.TemplateRetry {
			_ = os.Remove(path)
		}
	}
}

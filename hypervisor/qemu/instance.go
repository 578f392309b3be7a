// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/internal/tail"
	"github.com/katapod/katapod/hypervisor/qemu/qmp"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/protocols/transport"
)

const (
	// consoleTail is how much of the guest's console is kept, in bytes.
	consoleTail = 8 << 10
)

// Oldest QEMU that the command line is written for.
const oldestMajor, oldestMinor = 7, 2

// instance is one QEMU process with all that belongs to it.
type instance struct {
	proc        *process
	res         *resources
	console     *tail.Buffer
	consoleDone chan struct{}
	qmp         *qmp.Client // nil until bringUp has the greeting
	notes       *notes
	devices     *devices
	sets        diskSets
	// migrated has the last word about saving or restoring.
	migrated chan string
	// saved says that the memory file is the caller's.
	saved atomic.Bool
	// writes says that the VM has or had a disk that it may write to.
	writes atomic.Bool
}

func newInstance(proc *process, res *resources, cfg hypervisor.Config) *instance {
	inst := &instance{
		proc: proc, res: res,
		console: tail.New(consoleTail), consoleDone: make(chan struct{}),
		notes: newNotes(), devices: newDevices(cfg), migrated: make(chan string, 1),
	}
	inst.writes.Store(slices.ContainsFunc(cfg.Disks, func(d hypervisor.Disk) bool { return !d.ReadOnly }))
	// It ends with QEMU, which holds the other end; consoleDone tells.
	go func() {
		defer close(inst.consoleDone)
		_, _ = io.Copy(inst.console, res.console) // It ends with the process.
	}()
	return inst
}

// carrier reaches the guest's ports.
func (i *instance) carrier() transport.Dialer {
	if i.res.in.cid != 0 {
		return transport.NewVsock(i.res.in.cid)
	}
	return transport.NewSerial(i.res.channel)
}

// bringUp reports the process, greets it, restores a clone, and lets the guest
// run unless it is held.
func (i *instance) bringUp(ctx context.Context, cfg hypervisor.Config) (qmp.Version, error) {
	if cfg.Spawned != nil {
		if err := cfg.Spawned(i.proc.pid()); err != nil {
			return qmp.Version{}, fmt.Errorf("record the QEMU process %d: %w", i.proc.pid(), err)
		}
	}
	client, version, err := qmp.New(ctx, i.res.control, i.handle)
	if err != nil {
		return version, err
	}
	i.qmp = client
	close(i.notes.controlled)
	if !version.AtLeast(oldestMajor, oldestMinor) {
		return version, fmt.Errorf("QEMU %s is too old, %d.%d or newer is needed: %w", version, oldestMajor, oldestMinor, errdefs.ErrFailedPrecondition)
	}
	if cfg.From != nil {
		if err := i.restore(ctx, *cfg.From); err != nil {
			return version, hypervisor.Because(hypervisor.ErrSnapshot, err)
		}
	}
	if cfg.Held {
		return version, nil
	}
	if err := client.Execute(ctx, "cont", nil, nil); err != nil {
		return version, fmt.Errorf("let the guest run: %w", err)
	}
	return version, nil
}

// explain turns a failure of bringUp into its cause: when QEMU has gone, that
// is what it said, not that its control channel closed. The end of a QEMU that
// restores a saved VM is that one's fault, unless it was killed.
func (i *instance) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	if !errors.Is(err, qmp.ErrClosed) || !waitFor(i.proc.exited, timeouts.LastWords) {
		return err
	}
	ended := fmt.Errorf("%s before the guest ran; it said: %q: %w", i.proc.ending(), i.proc.log.String(), errdefs.ErrUnavailable)
	if errors.Is(err, hypervisor.ErrSnapshot) && i.proc.failed() {
		return hypervisor.Because(hypervisor.ErrSnapshot, ended)
	}
	return ended
}

// discard ends the process and releases everything, whatever the caller's
// context says: a start that fails leaves nothing.
func (i *instance) discard() {
	ctx, cancel := context.WithTimeout(context.Background(), timeouts.Kill)
	defer cancel()
	if err := i.proc.kill(ctx); err != nil {
		i.notes.add(err)
	}
	i.release()
}

// release closes what is ours once the process has ended.
func (i *instance) release() {
	if i.qmp != nil {
		waitFor(i.qmp.Done(), timeouts.LastWords)
		i.qmp.Close()
	}
	waitFor(i.consoleDone, timeouts.LastWords)
	i.res.close(i.saved.Load())
	<-i.consoleDone
}

// waitFor reports whether c was closed in time.
func waitFor(c <-chan struct{}, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}

// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/internal/life"
	"github.com/katapod/katapod/hypervisor/internal/tail"
	"github.com/katapod/katapod/protocols/transport"
)

// Name is the VMM that a fake says it is.
const Name = "fake"

// consoleTail is how much of the console is kept, in bytes.
const consoleTail = 4 << 10

// Bare is a fake VM that can do only what every VM can.
type Bare struct {
	cfg     hypervisor.Config
	life    *life.Cycle
	guest   *guest
	console *tail.Buffer
	saved   atomic.Bool

	// mu guards what follows.
	mu       sync.Mutex
	process  *process
	startErr error
	diedOf   error
}

// NewBare returns a VM without any optional interface.
func NewBare(cfg hypervisor.Config) *Bare {
	cycle := life.New()
	return &Bare{cfg: cfg, life: cycle, guest: newGuest(cycle), console: tail.New(consoleTail)}
}

// Handle serves connections to a guest port with f, each on a goroutine of its
// own; f owns its connection. Dials to a port without a handler wait for one.
func (vm *Bare) Handle(port uint32, f Handler) { vm.guest.handle(port, f) }

// FailStart makes a later Start fail with err, after the process was reported.
func (vm *Bare) FailStart(err error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.startErr = err
}

// Die ends a running VM for a cause, as a crash of the VMM or a panic of the
// guest does. It returns when Done is closed.
func (vm *Bare) Die(cause error) {
	vm.mu.Lock()
	p := vm.process
	vm.diedOf = cause
	vm.mu.Unlock()
	if p != nil {
		p.kill()
		<-vm.life.Done()
	}
}

// WriteConsole appends to the guest's console.
func (vm *Bare) WriteConsole(text string) { _, _ = vm.console.Write([]byte(text)) }

// Config is the configuration that the VM was made with.
func (vm *Bare) Config() hypervisor.Config { return vm.cfg }

// Start implements [hypervisor.VM].
func (vm *Bare) Start(ctx context.Context) error {
	if err := vm.life.Begin(); err != nil {
		return fmt.Errorf("VM %s: %w", vm.cfg.ID, err)
	}
	err := vm.launch(ctx)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("start VM %s: %w", vm.cfg.ID, err)
	vm.guest.end()
	vm.life.Fail(hypervisor.Exit{Cause: err, Console: vm.console.String()})
	return err
}

// launch does the work of Start.
func (vm *Bare) launch(ctx context.Context) error {
	if err := errors.Join(vm.checkSnapshot(), vm.makeMemory()); err != nil {
		return err
	}
	p, err := startProcess()
	if err == nil {
		if err = vm.bringUp(ctx, p); err == nil {
			// It ends with the process.
			go vm.watch(p)
			return nil
		}
		p.kill()
		p.wait()
	}
	vm.dropMemory()
	return err
}

func (vm *Bare) bringUp(ctx context.Context, p *process) error {
	if vm.cfg.Spawned != nil {
		if err := vm.cfg.Spawned(p.pid()); err != nil {
			return fmt.Errorf("record the process %d: %w", p.pid(), err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.startErr != nil {
		return vm.startErr
	}
	if !vm.cfg.Held {
		vm.guest.run()
	}
	vm.process = p
	return vm.life.Up()
}

func (vm *Bare) watch(p *process) {
	how := p.wait()
	// Last: who loses a connection finds that the VM has ended.
	defer vm.guest.end()
	vm.dropMemory()
	vm.mu.Lock()
	cause := vm.diedOf
	vm.mu.Unlock()
	if cause == nil {
		cause = fmt.Errorf("the fake VMM ended: %s: %w", how, errdefs.ErrUnavailable)
	}
	vm.life.End(hypervisor.Exit{At: time.Now(), Cause: cause, Console: vm.console.String()})
}

// Stop implements [hypervisor.VM].
func (vm *Bare) Stop(ctx context.Context) error {
	vm.life.Stopping()
	vm.guest.end()
	vm.mu.Lock()
	p := vm.process
	vm.mu.Unlock()
	if p != nil {
		p.kill()
	}
	select {
	case <-vm.life.Done():
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop VM %s", vm.cfg.ID), ctx.Err())
	}
}

// Done implements [hypervisor.VM].
func (vm *Bare) Done() <-chan struct{} { return vm.life.Done() }

// Exit implements [hypervisor.VM].
func (vm *Bare) Exit() hypervisor.Exit { return vm.life.Exit() }

// Dialer implements [hypervisor.VM].
func (vm *Bare) Dialer() transport.Dialer { return vm.guest }

// Describe implements [hypervisor.VM].
func (vm *Bare) Describe() hypervisor.Description {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	d := hypervisor.Description{VMM: Name, Version: "0", Accelerator: "tcg", VCPUs: vm.cfg.VCPUs, MemoryMiB: vm.cfg.MemoryMiB}
	if vm.process != nil {
		d.PID = vm.process.pid()
	}
	return d
}

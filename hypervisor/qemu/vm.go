// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/accel"
	"github.com/katapod/katapod/hypervisor/internal/life"
	"github.com/katapod/katapod/protocols/transport"
)

// Name is the name of this driver in logs, errors and configuration.
const Name = "qemu"

// VM is a virtual machine in a QEMU process. It is a [hypervisor.VM], a
// [hypervisor.DiskPlugger], a [hypervisor.NICPlugger], a [hypervisor.SharePlugger], a
// [hypervisor.MemoryPlugger], a [hypervisor.Pauser] and a [hypervisor.Snapshotter].
type VM struct {
	cfg    hypervisor.Config
	life   *life.Cycle
	dialer *dialer
	// stopAsked is closed by the first Stop, and ends a start under way.
	stopAsked chan struct{}
	stopOnce  sync.Once
	growth    growth

	// mu guards what follows.
	mu          sync.Mutex
	inst        *instance // nil unless a QEMU process is up
	accelerator string
	version     string
	pid         int
}

// New returns a VM that is created but not started. It acquires nothing; what
// is wrong with cfg is found by Start.
func New(cfg hypervisor.Config) *VM {
	cfg.KernelParams = slices.Clone(cfg.KernelParams)
	cfg.Disks, cfg.NICs, cfg.Shares = slices.Clone(cfg.Disks), slices.Clone(cfg.NICs), slices.Clone(cfg.Shares)
	cycle := life.New()
	return &VM{cfg: cfg, life: cycle, dialer: newDialer(cycle), stopAsked: make(chan struct{})}
}

// Start implements [hypervisor.VM].
func (vm *VM) Start(ctx context.Context) error {
	if err := vm.life.Begin(); err != nil {
		return fmt.Errorf("VM %s: %w", vm.cfg.ID, err)
	}
	inst, err := vm.boot(ctx)
	if err == nil {
		vm.dialer.connect(inst.carrier())
		if err = vm.life.Up(); err == nil {
			// It is the VM's, and ends with QEMU's process.
			go vm.watch(inst)
			return nil
		}
		inst.discard()
	}
	vm.forget()
	err = fmt.Errorf("start VM %s: %w", vm.cfg.ID, err)
	exit := hypervisor.Exit{Cause: err}
	if inst != nil {
		exit.Console, exit.Log = inst.console.String(), inst.proc.log.String()
	}
	vm.life.Fail(exit)
	return err
}

// boot does the work of Start. The instance is not nil once a process has
// begun; with an error it is ended and released already.
func (vm *VM) boot(ctx context.Context) (*instance, error) {
	ctx, cancel := vm.startContext(ctx)
	defer cancel()
	if err := preflight(vm.cfg); err != nil {
		return nil, err
	}
	accelerator, reason, err := accel.Choose(ctx, vm.cfg.Accelerator)
	if err != nil {
		if errdefs.IsFailedPrecondition(err) {
			err = hypervisor.Because(hypervisor.ErrAcceleratorUnusable, err)
		}
		return nil, err
	}
	log.G(ctx).WithFields(log.Fields{"sandbox": vm.cfg.ID, "accelerator": accelerator, "reason": reason}).Debug("accelerator chosen")
	res, err := acquire(ctx, vm.cfg, accelerator)
	if err != nil {
		return nil, err
	}
	proc, err := res.spawn(vm.cfg)
	res.closeInherited()
	if err != nil {
		res.close(false)
		return nil, err
	}
	inst := newInstance(proc, res, vm.cfg)
	vm.remember(inst, accelerator)
	version, err := inst.bringUp(ctx, vm.cfg)
	if err != nil {
		err = inst.explain(ctx, err)
		inst.discard()
		return inst, err
	}
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.version = version.String()
	return inst, nil
}

// startContext ends with ctx, or when a Stop arrives during the start.
func (vm *VM) startContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	// It ends with the start, which cancels ctx.
	go func() {
		select {
		case <-vm.stopAsked:
			cancel(errors.New("the VM was stopped while it started"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

func (vm *VM) remember(inst *instance, accelerator string) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.inst, vm.accelerator, vm.pid = inst, accelerator, inst.proc.pid()
}

func (vm *VM) forget() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.inst = nil
}

func (vm *VM) instance() *instance {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.inst
}

// Done implements [hypervisor.VM].
func (vm *VM) Done() <-chan struct{} { return vm.life.Done() }

// Exit implements [hypervisor.VM].
func (vm *VM) Exit() hypervisor.Exit { return vm.life.Exit() }

// Dialer implements [hypervisor.VM].
func (vm *VM) Dialer() transport.Dialer { return vm.dialer }

// Describe implements [hypervisor.VM].
func (vm *VM) Describe() hypervisor.Description {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	more, _ := vm.growth.now()
	return hypervisor.Description{
		VMM: Name, Version: vm.version, Accelerator: vm.accelerator, PID: vm.pid,
		VCPUs: vm.cfg.VCPUs, MemoryMiB: vm.cfg.MemoryMiB + more,
	}
}

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/transport"
)

// fakeVM is a VM whose guest is a fakeAgent in this process.
type fakeVM struct {
	config hypervisor.Config
	agent  *fakeAgent
	// startErr makes Start fail; bootHangs keeps the agent from listening.
	startErr  error
	bootHangs bool

	mu      sync.Mutex
	started bool
	stopped bool
	exit    hypervisor.Exit
	done    chan struct{}
	conns   []net.Conn
	disks   map[string]hypervisor.Disk
	nics    []hypervisor.NIC
}

func newFakeVM(agent *fakeAgent) *fakeVM {
	return &fakeVM{agent: agent, done: make(chan struct{}), disks: map[string]hypervisor.Disk{}}
}

func (vm *fakeVM) Start(context.Context) error {
	if vm.startErr != nil {
		return vm.startErr
	}
	if err := vm.config.Spawned(os.Getpid()); err != nil {
		return err
	}
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.started = true
	vm.nics = append(vm.nics, vm.config.NICs...)
	return nil
}

func (vm *fakeVM) Stop(context.Context) error {
	vm.end(nil, "")
	return nil
}

// die ends the VM as a crash would.
func (vm *fakeVM) die(cause string) { vm.end(errors.New(cause), "last words") }

func (vm *fakeVM) end(cause error, console string) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.stopped {
		return
	}
	vm.stopped = true
	vm.exit = hypervisor.Exit{At: time.Now(), Cause: cause, Console: console}
	for _, c := range vm.conns {
		_ = c.Close()
	}
	close(vm.done)
}

func (vm *fakeVM) Done() <-chan struct{} { return vm.done }

func (vm *fakeVM) Exit() hypervisor.Exit {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.exit
}

func (vm *fakeVM) Dialer() transport.Dialer { return vm }
func (vm *fakeVM) Close() error             { return nil }

func (vm *fakeVM) Describe() hypervisor.Description {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	d := hypervisor.Description{VMM: "fake", Version: "1", Accelerator: "none", VCPUs: vm.config.VCPUs, MemoryMiB: vm.config.MemoryMiB}
	if vm.started {
		d.PID = os.Getpid()
	}
	return d
}

func (vm *fakeVM) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	if vm.bootHangs {
		<-ctx.Done()
		return nil, fmt.Errorf("reach guest port %d: nobody listens: %w", port, ctx.Err())
	}
	host, guest := net.Pipe()
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.stopped {
		return nil, fmt.Errorf("the VM has ended: %w", errdefs.ErrUnavailable)
	}
	vm.conns = append(vm.conns, host, guest)
	switch port {
	case transport.PortAgent:
		vm.agent.serve(guest)
	case transport.PortStdio:
		go vm.agent.takeStream(guest)
	default:
		return nil, fmt.Errorf("port %d: %w", port, errdefs.ErrUnavailable)
	}
	return host, nil
}

// cutAgent breaks the agent's connection and nothing else.
func (vm *fakeVM) cutAgent() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	_ = vm.conns[0].Close()
}

func (vm *fakeVM) PlugDisk(_ context.Context, d hypervisor.Disk) (hypervisor.PCIPath, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.disks[d.ID] = d
	return hypervisor.PCIPath(fmt.Sprintf("%02x/00", len(vm.disks)+4)), nil
}

func (vm *fakeVM) UnplugDisk(_ context.Context, id string) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if _, ok := vm.disks[id]; !ok {
		return errdefs.ErrNotFound
	}
	delete(vm.disks, id)
	return nil
}

func (vm *fakeVM) PlugNIC(_ context.Context, n hypervisor.NIC) (hypervisor.PCIPath, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.nics = append(vm.nics, n)
	return "07/00", nil
}

func (vm *fakeVM) UnplugNIC(context.Context, string) error { return errdefs.ErrNotFound }

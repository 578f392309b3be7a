// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"net"
	"os"
	"sync"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/protocols/transport"
)

// fakeVM is a fake VM whose guest is a fakeAgent in this process.
type fakeVM struct {
	*fake.VM
	agent *fakeAgent
	// startErr makes Start fail; bootHangs keeps the agent from listening.
	startErr  error
	bootHangs bool
	// ports serves forwarded connections.
	ports func(net.Conn)
	// names serves streams of questions for names.
	names func(net.Conn)
	// wrap, if there is one, makes another VM of the fake.
	wrap func(*fake.VM) hypervisor.VM

	mu   sync.Mutex
	conn net.Conn // of the agent, the guest's end
}

// create is Drivers.NewVM.
func (vm *fakeVM) create(c hypervisor.Config) (hypervisor.VM, error) {
	vm.VM = fake.New(c)
	if vm.startErr != nil {
		vm.FailStart(vm.startErr)
	}
	if !vm.bootHangs {
		vm.Handle(transport.PortAgent, vm.serve)
		vm.Handle(transport.PortStdio, vm.agent.takeStream)
		vm.Handle(transport.PortForward, vm.ports)
		vm.Handle(transport.PortNames, vm.names)
	}
	if vm.wrap != nil {
		return vm.wrap(vm.VM), nil
	}
	return vm.VM, nil
}

func (vm *fakeVM) serve(conn net.Conn) {
	vm.mu.Lock()
	vm.conn = conn
	vm.mu.Unlock()
	vm.agent.serve(conn)
}

// die ends the VM as a crash would.
func (vm *fakeVM) die(cause string) {
	vm.WriteConsole("last words")
	vm.Die(errors.New(cause))
}

// cutAgent breaks the agent's connection and nothing else.
func (vm *fakeVM) cutAgent() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	_ = vm.conn.Close()
}

// sendFrameOf4GiB says what no agent says: a frame of such a length.
func (vm *fakeVM) sendFrameOf4GiB() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	_, _ = vm.conn.Write([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 2, 0})
}

// crash kills the VMM's process, if there is one.
func (vm *fakeVM) crash() error {
	p, err := os.FindProcess(vm.Describe().PID)
	if err != nil {
		return err
	}
	return p.Kill()
}

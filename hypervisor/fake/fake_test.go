// SPDX-License-Identifier: Apache-2.0

package fake_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/hypervisor/hypervisortest"
	"github.com/katapod/katapod/protocols/transport"
)

func echo(c net.Conn) {
	defer c.Close()
	_, _ = io.Copy(c, c)
}

func TestBehaviour(t *testing.T) {
	hypervisortest.Run(t, hypervisortest.Driver{New: func(_ testing.TB, cfg hypervisor.Config) hypervisor.VM {
		vm := fake.New(cfg)
		vm.Handle(transport.PortAgent, echo)
		return vm
	}, Share: func(_ testing.TB, tag string) hypervisor.Share { return hypervisor.Share{Tag: tag} }})
}

func TestBehaviourWithoutCapabilities(t *testing.T) {
	hypervisortest.Run(t, hypervisortest.Driver{New: func(_ testing.TB, cfg hypervisor.Config) hypervisor.VM {
		vm := fake.NewBare(cfg)
		vm.Handle(transport.PortAgent, echo)
		return vm
	}})
}

func TestDieHasItsCause(t *testing.T) {
	vm := fake.New(hypervisor.Config{ID: "a"})
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("guest panic")
	vm.WriteConsole("Oops\n")
	vm.Die(cause)
	if e := vm.Exit(); !errors.Is(e.Cause, cause) || e.Console != "Oops" {
		t.Errorf("exit %+v", e)
	}
}

func TestInjectedFailures(t *testing.T) {
	cause := errors.New("injected")
	vm := fake.New(hypervisor.Config{ID: "a"})
	vm.FailStart(cause)
	if err := vm.Start(t.Context()); !errors.Is(err, cause) {
		t.Errorf("start: %v", err)
	}
	vm = fake.New(hypervisor.Config{ID: "b", HotplugSlots: 1})
	if err := vm.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = vm.Stop(t.Context()) }()
	vm.FailPlug(cause)
	if _, err := vm.PlugDisk(t.Context(), hypervisor.Disk{ID: "d"}); !errors.Is(err, cause) {
		t.Errorf("plug: %v", err)
	}
	vm.FailPlug(nil)
	if _, err := vm.PlugDisk(t.Context(), hypervisor.Disk{ID: "d"}); err != nil || len(vm.Disks()) != 1 {
		t.Errorf("plug: %v, disks %v", err, vm.Disks())
	}
}

func TestUnsupportedIsNamed(t *testing.T) {
	_, err := hypervisor.AsPauser(fake.NewBare(hypervisor.Config{}))
	if !errors.Is(err, errdefs.ErrNotImplemented) || err.Error() != "fake does not support pausing a VM" {
		t.Errorf("error %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/katapod/katapod/hypervisor"
)

// Driver is a driver under test.
type Driver struct {
	// New returns a VM made from cfg, in which the suite has set ID, Dir, sizes
	// and HotplugSlots; the driver's test adds a guest that echoes what it gets
	// on the agent's port. The VM is stopped by the suite.
	New func(t testing.TB, cfg hypervisor.Config) hypervisor.VM
	// Share returns a share of that tag with a daemon that takes one connection,
	// for drivers that plug shares; it may be nil for others.
	Share func(t testing.TB, tag string) hypervisor.Share
}

// patience bounds every step of the suite. A machine that is ten times slower, or
// runs as many other tests, needs most of it to boot a guest under emulation.
const patience = 2 * time.Minute

// slots is how many devices the suite's VMs take while they run.
const slots = 2

// Run checks a driver against the contract.
func Run(t *testing.T, d Driver) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Driver)
	}{
		{"StartAndStop", startAndStop},
		{"StopBeforeStart", stopBeforeStart},
		{"StopDuringStart", stopDuringStart},
		{"StartTwice", startTwice},
		{"UseBeforeStart", useBeforeStart},
		{"Death", death},
		{"DialKeepsItsDeadline", dialKeepsItsDeadline},
		{"DialEndsWithTheVM", dialEndsWithTheVM},
		{"SpawnedErrorFailsTheStart", spawnedError},
		{"CancelledStart", cancelledStart},
		{"Disks", disks},
		{"NICs", nics},
		{"Shares", shares},
		{"SharesThatNobodyPromised", sharesUnpromised},
		{"Memory", memory},
		{"MemoryThatNobodyPromised", memoryUnpromised},
		{"Pause", pause},
		{"Held", held},
		{"Snapshots", snapshots},
		{"Unsaved", unsaved},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			c.run(t, d)
		})
	}
}

// newVM makes a VM that the end of the test stops.
func newVM(t *testing.T, d Driver, change func(*hypervisor.Config)) hypervisor.VM {
	t.Helper()
	// Not t.TempDir, whose path is too long for sockets.
	dir, err := os.MkdirTemp("", "vm")
	if err != nil {
		t.Fatal(err)
	}
	cfg := hypervisor.Config{ID: "suite", Dir: dir, VCPUs: 1, MemoryMiB: 128, HotplugSlots: slots}
	if change != nil {
		change(&cfg)
	}
	vm := d.New(t, cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := vm.Stop(ctx); err != nil {
			t.Errorf("stop at the end: %v", err)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the VM's directory: %v, %v", left, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return vm
}

// started is a VM that runs, with a guest that need not be up.
func started(t *testing.T, d Driver) hypervisor.VM {
	t.Helper()
	return startedWith(t, d, nil)
}

func startedWith(t *testing.T, d Driver, change func(*hypervisor.Config)) hypervisor.VM {
	t.Helper()
	vm := newVM(t, d, change)
	if err := vm.Start(short(t)); err != nil {
		t.Fatalf("start: %v", err)
	}
	return vm
}

// up is a VM whose guest answers.
func up(t *testing.T, d Driver) hypervisor.VM {
	t.Helper()
	vm := started(t, d)
	mustEcho(t, vm)
	return vm
}

// short is a context that ends with the suite's patience.
func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

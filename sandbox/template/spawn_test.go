// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/fake"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/transport"
)

// deafParameter makes a builder's agent accept a connection and never answer.
const deafParameter = "deaf"

// TestMain is a builder's main when this test is started as one.
func TestMain(m *testing.M) {
	if !slices.Equal(os.Args[1:], []string{Command}) {
		leaktest.Main(m)
	}
	err := Serve(context.Background(), os.Stdin, func(c hypervisor.Config) (hypervisor.VM, error) {
		vm, a := fake.New(c), &agent{}
		serve := a.serve
		if slices.Contains(c.KernelParams, deafParameter) {
			serve = func(net.Conn) {}
		}
		vm.Handle(transport.PortAgent, serve)
		return vm, nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func needNamespaces(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a builder has a PID namespace of its own: run as root")
	}
}

// TestSpawnWaitsToBegin: nothing is built before the caller says so.
func TestSpawnWaitsToBegin(t *testing.T) {
	needNamespaces(t)
	f := newFixture(t)
	begin, err := Spawn("/proc/self/exe", Request{Store: f.Store, Config: f.Config, Unhurried: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.Store.Dir); !os.IsNotExist(err) {
		t.Errorf("a builder has begun: %v", err)
	}
	begin()
	key := f.key(t)
	for end := time.Now().Add(time.Minute); ; {
		_, err := f.Store.Find(t.Context(), key)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no template after a minute: %v, %v", err, f.Store.Failed(key))
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRunTellsWhatWentWrong(t *testing.T) {
	needNamespaces(t)
	f := newFixture(t)
	if err := Run(t.Context(), "/proc/self/exe", Request{Store: f.Store, Config: f.Config}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Store.Find(t.Context(), f.key(t)); err != nil {
		t.Error(err)
	}
	f.Config.Kernel += "-missing"
	err := Run(t.Context(), "/proc/self/exe", Request{Store: f.Store, Config: f.Config})
	if err == nil || !strings.Contains(err.Error(), "kernel-missing") {
		t.Errorf("got %v", err)
	}
}

// TestKilledBuilderLeavesNoVM kills a builder that waits for its agent.
func TestKilledBuilderLeavesNoVM(t *testing.T) {
	needNamespaces(t)
	f := newFixture(t)
	f.Config.KernelParams = []string{deafParameter}
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, "/proc/self/exe", Request{Store: f.Store, Config: f.Config}) }()
	vmm := 0
	for end := time.Now().Add(time.Minute); vmm == 0; {
		if time.Now().After(end) {
			t.Fatal("no VMM after a minute")
		}
		vmm = grandchild(t)
		time.Sleep(time.Millisecond)
	}
	kill() // with SIGKILL
	if err := leaktest.Receive(t, ended); err == nil {
		t.Error("a killed builder has built")
	}
	// The kernel kills a namespace's processes before it reports the end of the
	// first, so that there is nothing to wait for.
	if err := unix.Kill(vmm, 0); err != unix.ESRCH {
		t.Errorf("the VMM, process %d, is left: %v", vmm, err)
	}
	f.Config.KernelParams = nil
	key := f.mustBuild(t)
	if left := f.left(t); len(left) != 1 || left[0] != string(key) {
		t.Errorf("left: %q", left)
	}
}

// grandchild is the process that a child of this one has started, 0 for none.
func grandchild(t *testing.T) int {
	t.Helper()
	parents := map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		after := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if parent, err := strconv.Atoi(after[1]); err == nil {
			parents[pid] = parent
		}
	}
	for pid, parent := range parents {
		if parents[parent] == os.Getpid() {
			return pid
		}
	}
	return 0
}

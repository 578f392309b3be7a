// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	sandboxapi "github.com/containerd/containerd/api/runtime/sandbox/v1"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/leaktest"
)

// TestSandboxDeath is a VMM that somebody kills.
func TestSandboxDeath(t *testing.T) {
	p := newPodShim(t)
	if err := p.create(podConfig(0)); err != nil {
		t.Fatal(err)
	}
	started, err := p.api.StartSandbox(within(t), &sandboxapi.StartSandboxRequest{SandboxID: "pod"})
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := unix.Kill(int(started.Pid), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waited, err := p.api.WaitSandbox(within(t), &sandboxapi.WaitSandboxRequest{SandboxID: "pod"})
	if err != nil || waited.ExitStatus != 137 || waited.ExitedAt.AsTime().Before(killed) {
		t.Errorf("WaitSandbox answered %v, error %v", waited, err)
	}
	p.expect("dead", map[string]error{
		"PingSandbox": errdefs.ErrUnavailable, "SandboxMetrics": errdefs.ErrUnavailable, "UpdateSandbox": errdefs.ErrFailedPrecondition,
		"StartSandbox": errdefs.ErrAlreadyExists, "CreateSandbox": errdefs.ErrAlreadyExists, "SandboxStatus": nil, "StopSandbox": nil,
	})
	status, err := p.api.SandboxStatus(within(t), &sandboxapi.SandboxStatusRequest{SandboxID: "pod", Verbose: true})
	if err != nil || status.State != "SANDBOX_NOTREADY" || !strings.Contains(status.Info["failure"], "vmm") {
		t.Errorf("SandboxStatus answered %v, error %v", status, err)
	}
	p.leave()
}

// TestSandboxStoppedWhileItStarts is one that an engine gave up while it started:
// neither call waits for the other, and nothing comes up behind them.
func TestSandboxStoppedWhileItStarts(t *testing.T) {
	p := newPodShim(t)
	p.neverUp()
	if err := p.create(podConfig(0)); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() {
		_, err := p.api.StartSandbox(within(t), &sandboxapi.StartSandboxRequest{SandboxID: "pod"})
		started <- err
	}()
	vmm := p.vmm()
	p.expect("starting", map[string]error{
		"StartSandbox": errdefs.ErrAlreadyExists, "PingSandbox": errdefs.ErrFailedPrecondition, "SandboxStatus": nil, "StopSandbox": nil,
	})
	if err := leaktest.Receive(t, started); err == nil {
		t.Error("StartSandbox of a pod that was stopped meanwhile succeeded")
	} else {
		t.Logf("StartSandbox: %v", err)
	}
	gone(t, vmm)
	p.expect("stopped", map[string]error{"WaitSandbox": nil, "StartSandbox": errdefs.ErrFailedPrecondition})
	p.leave()
}

// neverUp has the guest's kernel wait for its root, longer than any test.
func (p *podShim) neverUp() {
	p.t.Helper()
	text, err := os.ReadFile(p.n.config)
	if err != nil {
		p.t.Fatal(err)
	}
	slow := strings.Replace(string(text), "[runtime]", "kernel_params = \"rootdelay=3600\"\n[runtime]", 1)
	if err := os.WriteFile(p.n.config, []byte(slow), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// vmm waits until the shim has started its VMM, of which nothing tells.
func (p *podShim) vmm() int {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for wait := time.Millisecond; time.Now().Before(deadline); wait = min(2*wait, 20*time.Millisecond) {
		children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.pid))
		if err != nil {
			p.t.Fatal(err)
		}
		for _, file := range children {
			text, _ := os.ReadFile(file) // a thread may have ended
			for _, child := range strings.Fields(string(text)) {
				name, _ := os.ReadFile("/proc/" + child + "/comm")
				if n, err := strconv.Atoi(child); err == nil && strings.HasPrefix(string(name), "qemu-system") {
					return n
				}
			}
		}
		<-time.After(wait)
	}
	p.t.Fatal("the shim started no VMM")
	return 0
}

// TestSandboxesOfOneName are pods of one id in two namespaces of containerd, with
// one state directory: neither disturbs the other.
func TestSandboxesOfOneName(t *testing.T) {
	n := newVMNode(t)
	other := n
	other.namespace = "other"
	pods := []*podShim{n.podShim(t), other.podShim(t)}
	var vmms []int
	for _, p := range pods {
		if err := p.create(podConfig(0)); err != nil {
			t.Fatal(err)
		}
		started, err := p.api.StartSandbox(within(t), &sandboxapi.StartSandboxRequest{SandboxID: "pod"})
		if err != nil {
			t.Fatalf("start the pod in the namespace %s: %v", p.n.namespace, err)
		}
		vmms = append(vmms, int(started.Pid))
	}
	if _, err := pods[0].api.ShutdownSandbox(within(t), &sandboxapi.ShutdownSandboxRequest{SandboxID: "pod"}); err != nil {
		t.Logf("ShutdownSandbox: %v", err) // the answer may be cut off
	}
	gone(t, pods[0].pid)
	gone(t, vmms[0])
	n.delete(t, pods[0].bundle, "pod")
	pods[1].expect("beside one that ended", map[string]error{"PingSandbox": nil, "SandboxMetrics": nil})
	pods[1].status("SANDBOX_READY", uint32(vmms[1]))
	pods[1].leave()
}

// TestSandboxThatNeverStarts is one that an engine gave up before the start.
func TestSandboxThatNeverStarts(t *testing.T) {
	p := newPodShim(t)
	if err := p.create(podConfig(0)); err != nil {
		t.Fatal(err)
	}
	p.expect("created", map[string]error{"StopSandbox": nil})
	p.expect("stopped", map[string]error{"StopSandbox": nil, "WaitSandbox": nil, "StartSandbox": errdefs.ErrFailedPrecondition, "PingSandbox": errdefs.ErrFailedPrecondition})
	p.leave()
}

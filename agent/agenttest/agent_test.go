// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"context"
	"testing"
	"time"

	"github.com/katapod/katapod/protocols/agentpb"
)

// patience bounds what a guest does at once, on a machine that is ten times slower.
const patience = 2 * time.Minute

// guestUser is a test's hold on a running guest.
type guestUser struct {
	*machine
	ctx context.Context
	n   int
}

// TestAgent boots one guest and runs every test of calls in it, in order.
func TestAgent(t *testing.T) {
	m := boot(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	g := &guestUser{machine: m, ctx: ctx}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *guestUser)
	}{
		{"network before the pod", testNetwork},
		{"pod", testPod},
		{"output, error output and exit code", testPrint},
		{"streams of one long-lived container", testStreams},
		{"exec with its full specification", testExec},
		{"terminal", testTerminal},
		{"streams by calls", testCalls},
		{"signals", testSignals},
		{"forwarded ports", testForward},
		{"limits, devices and seccomp", testLimits},
		{"pause, update and statistics", testPauseUpdateStats},
		{"OOM kills", testOOM},
		{"namespaces of the pod", testNamespaces},
		{"containers side by side", testParallel},
		{"what containers and execs leave in the agent", testNothingStays},
		{"storages", testStorages},
		{"a disk that comes later", testHotplug},
		{"files", testFiles},
		{"guest", testGuest},
		{"what is refused", testRefused},
		{"debug console and log", testConsole},
		{"end of the pod", testDestroy},
	} {
		if !t.Run(test.name, func(t *testing.T) { test.run(t, g) }) && test.name == "pod" {
			t.Fatal("nothing works without a pod")
		}
	}
}

func testPod(t *testing.T, g *guestUser) {
	create := &agentpb.CreateSandboxRequest{
		SandboxId: "pod", Hostname: "podname", Dns: []string{"nameserver 192.0.2.1"},
		Storages: []*agentpb.Storage{
			{Driver: "ephemeral", Source: "shm", Fstype: "tmpfs", MountPoint: "/run/kata-containers/sandbox/shm", Options: []string{"noexec", "nosuid", "nodev", "mode=1777", "size=16777216"}},
			{Driver: "blk", Source: rootfsPCI, Fstype: "erofs", Options: []string{"ro"}, MountPoint: "/run/kata-containers/sandbox/layer", Shared: true},
		},
	}
	if _, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: "early", OCI: spec("early", "true")}); code(err) != failedPrecondition {
		t.Errorf("a container before the pod: %v", err)
	}
	if _, err := g.agent.CreateSandbox(g.ctx, create); err != nil {
		t.Fatal(err)
	}
	if _, err := g.agent.CreateSandbox(g.ctx, create); code(err) != alreadyExists {
		t.Errorf("a second pod: %v", err)
	}
}

func testDestroy(t *testing.T, g *guestUser) {
	id := g.name()
	p := g.createOnly(t, id, spec(id, "sleep 1000"))
	g.start(t, p)
	if _, err := g.agent.DestroySandbox(g.ctx, &agentpb.DestroySandboxRequest{}); err != nil {
		t.Fatal(err)
	}
	if out := read(t, p.stdout); out != "" {
		t.Errorf("output %q", out)
	}
	if _, err := g.agent.WaitProcess(g.ctx, &agentpb.WaitProcessRequest{ContainerId: id}); code(err) != notFound {
		t.Errorf("the container is still there: %v", err)
	}
	if _, err := g.agent.CreateSandbox(g.ctx, &agentpb.CreateSandboxRequest{Hostname: "second"}); err != nil {
		t.Errorf("a pod after the pod: %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/katapod/katapod/integration/node"
)

// Events that come when their cycle is over, and streams that end by themselves.
func TestEventsAreJudged(t *testing.T) {
	c := fakeCycle(t, "kill-vmm", "run/idle", &fakeEngine{})
	for _, name := range []string{"create", "start", "exit", "delete"} {
		c.events.keep(taskEvent{container: "one", name: name})
	}
	c.judgeEvents()
	c.hold(t)
	c.events.begin()
	c.events.keep(taskEvent{container: "bystander", name: "start exec"})
	c.judgeEvents()
	c.hold(t)
	c.events.keep(taskEvent{container: "one", name: "exit"})
	c.events.keep(taskEvent{container: "two", name: "start"})
	c.judgeEvents()
	c.hold(t, "event exit of one came after its cycle", "event start of two came after its cycle")

	c = fakeCycle(t, "kill-vmm", "run/idle", &fakeEngine{})
	c.events.keep(taskEvent{container: "one", name: "start"})
	c.judgeEvents()
	c.hold(t, "its exit never came")
	c = fakeCycle(t, "kill-vmm", "run/idle", &fakeEngine{})
	c.events.gaps++
	c.judgeEvents()
	c.hold(t, "containerd ended the stream")
	c = fakeCycle(t, "kill-containerd", "run/idle", &fakeEngine{})
	c.events.gaps++
	c.judgeEvents()
	c.hold(t)
}

// What an engine that was killed under a call forgets is no violation; the same of another pod, or beside a call, is one.
func TestOnlyTheEnginesOwnIsIgnored(t *testing.T) {
	const netns = "/tmp/n/state/io.containerd.grpc.v1.cri/netns/cni-1"
	c := fakeCycle(t, "kill-containerd", "start/vm", &fakeEngine{})
	c.node = &node.Node{Layout: node.Layout{Root: "/tmp/n"}}
	own := [][2]string{
		{"mounts", netns}, {"files", netns}, {"interfaces", "veth1234"}, {"tc", "qdisc pfifo 8001: dev veth1234 root"},
		{"files", "/var/lib/cni/results/pods-pod-eth0"}, {"mounts", "/tmp/n/state/io.containerd.grpc.v1.cri/sandboxes/pod/shm"},
	}
	for _, thing := range own {
		if c.ignored(thing[0], thing[1]) {
			t.Errorf("%v is ignored though the engine lives", thing)
		}
	}
	c.cut, c.pastNetNS = true, netns
	for _, thing := range own {
		if !c.ignored(thing[0], thing[1]) {
			t.Errorf("%v is taken for the runtime's", thing)
		}
	}
	for _, thing := range [][2]string{
		{"mounts", netns + "2"}, {"processes", "12 qemu-system-x86_64"}, {"interfaces", "tap2_kata"}, {"cgroups", "/sys/fs/cgroup/memory/n/pod"},
		{"mounts", "/tmp/n/state/io.containerd.grpc.v1.cri/sandboxes/other/shm"}, {"files", "/tmp/n/vc/sbs/pod/ledger"},
		{"files", "/tmp/n/state/io.containerd.runtime.v2.task/k8s.io/pod"}, {"sockets", "/tmp/n/run/s/abc"}, {"locks", "FLOCK /tmp/n/vc/sbs/pod/ledger"},
	} {
		if c.ignored(thing[0], thing[1]) {
			t.Errorf("%v is ignored", thing)
		}
	}
	c.pastNetNS = ""
	if c.ignored("interfaces", "veth1234") {
		t.Error("a veth pair without a network namespace is ignored")
	}
	got := ofRuntime("lo UP\neth0@if3 UP\ntap2_kata UP\nqdisc noqueue 0: dev lo root\nqdisc ingress ffff: dev eth0 parent ffff:fff1\n")
	if len(got) != 2 {
		t.Errorf("in the namespace are %q of the runtime", got)
	}
}

// The socket of a shim that the engine never saw is owed by the next pod, under both of its names.
func TestAnUnseenSocketIsOwed(t *testing.T) {
	c := fakeCycle(t, "kill-shim", "start/shim", &fakeEngine{})
	c.node = &node.Node{Layout: node.Layout{Root: "/tmp/n"}}
	c.judgeUnseen()
	socket, claim := "/tmp/n/run/s/abc", "/run/katapod/sockets/abc"
	if c.ignored("files", socket) || c.ignored("files", claim) {
		t.Error("a socket is ignored whose shim was seen")
	}
	c.log.lines = []string{"start failed: failed to create TTRPC connection: dial unix " + socket + ": connect: connection refused"}
	c.judgeUnseen()
	if !c.ignored("files", socket) || !c.ignored("files", claim) || c.ignored("files", socket+"d") || c.ignored("sockets", socket) {
		t.Errorf("the sockets %v are owed", c.owed)
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	return writeAt(t, t.TempDir(), "file", text)
}

func writeAt(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

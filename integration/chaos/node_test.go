// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// Whatever a pod could leave on its node is seen, each kind of thing by itself.
func TestLeftoversAreSeen(t *testing.T) {
	n := startNode(t)
	ctx := t.Context()
	for _, kind := range []struct{ kind, leave, take string }{
		{"processes", `sleep 1000 >/dev/null 2>&1 & echo $! >"$0/pid"`, `kill "$(cat "$0/pid")"; rm "$0/pid"`},
		{"mounts", `mkdir "$0/m"; mount -t tmpfs none "$0/m"`, `umount "$0/m"; rmdir "$0/m"`},
		{"mounts", `mount -t tmpfs none /run`, `umount /run`}, // over another one
		{"interfaces", `ip tuntap add tap9_kata mode tap`, `ip link delete tap9_kata`},
		{"tc", `tc qdisc add dev lo clsact`, `tc qdisc delete dev lo clsact`},
		{"cgroups", `d=/sys/fs/cgroup/pids; [ -d $d ] || d=/sys/fs/cgroup; mkdir -p $d/"$1"/pod`, `rmdir /sys/fs/cgroup/pids/"$1"/pod || rmdir /sys/fs/cgroup/"$1"/pod`},
		{"loop devices", `truncate -s 1M "$0/disk"; losetup -f "$0/disk"`, `losetup -d "$(losetup -n -O NAME -j "$0/disk")"; rm "$0/disk"`},
		{"files", `mkdir "$0/vc/sbs"; mkdir "$0/vc/sbs/pod"`, `rmdir "$0/vc/sbs/pod" "$0/vc/sbs"`},
		{"files", `: >/run/pod`, `rm /run/pod`},
		{"locks", `exec 9>"$0/lock"; flock -n 9; sleep 1000 >/dev/null 2>&1 & echo $! >"$0/pid"`, `kill "$(cat "$0/pid")"; rm "$0/pid" "$0/lock"`},
	} {
		t.Run(kind.kind, func(t *testing.T) {
			before := inventory(t, n)
			do(t, n, kind.leave)
			left := before.Added(inventory(t, n))
			do(t, n, kind.take)
			if len(left[kind.kind]) == 0 {
				t.Errorf("of what was left with %s the inventory shows %v", kind.leave, left)
			}
			if left, err := n.WaitEmpty(ctx, before); err != nil || len(left) > 0 {
				t.Errorf("after it was taken away there are %v, error %v", left, err)
			}
		})
	}
}

// A socket that is bound, and the file of one whose process has gone, are seen by their paths.
func TestALeftSocketIsSeen(t *testing.T) {
	n := startNode(t)
	before := inventory(t, n)
	// containerd's own socket goes with it, but for its file.
	do(t, n, `mkdir -p "$0/run/s"; cp -a "$0/run/c.sock" "$0/run/s/pod"`)
	left := before.Added(inventory(t, n))
	if want := filepath.Join(n.Root, "run/s/pod"); !slices.Contains(left["files"], want) {
		t.Errorf("there are %v left, want the file %s", left, want)
	}
	do(t, n, `rm "$0/run/s/pod"`)
	if listed := strings.Join(before["sockets"], "\n"); !strings.Contains(listed, n.Socket()) {
		t.Errorf("the sockets are %s, want %s among them", listed, n.Socket())
	}
}

// What is left is a violation of the cycle that left it, after five seconds, and of no later one.
func TestLeftoversAreViolations(t *testing.T) {
	n := startNode(t)
	c := fakeCycle(t, "kill-vmm", "run/idle", &fakeEngine{})
	c.node, c.nothing = n, inventory(t, n)
	do(t, n, `mkdir -p "$0/vc/sbs/pod"`)
	began := time.Now()
	c.judgeLeft(t.Context())
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("the verdict came after %s", took)
	}
	if len(c.wrongs) == 0 || !strings.Contains(strings.Join(c.wrongs, " "), "vc/sbs/pod") {
		t.Errorf("the violations are %q", c.wrongs)
	}
	c.wrongs = nil
	c.reset(t.Context())
	c.judgeLeft(t.Context())
	c.hold(t)
	do(t, n, `rm -r "$0/vc/sbs"`)
}

// startNode is a node without a pod, which ends with the test.
func startNode(t *testing.T) *node.Node {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a node needs root")
	}
	out, err := filepath.Abs("../../out")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "bin")); err != nil {
		t.Skip("a node needs the project's build output: make build")
	}
	cache, err := node.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(t.Context(), node.Options{Name: "kpnode-chaost", Out: out, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // that of the test is over
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return n
}

func inventory(t *testing.T, n *node.Node) node.Inventory {
	t.Helper()
	all, err := n.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// do runs a script in the node, with its root and its name.
func do(t *testing.T, n *node.Node, script string) {
	t.Helper()
	if _, err := n.Runner().Run(t.Context(), "sh", "-ec", script, n.Root, n.Name()); err != nil {
		t.Fatal(err)
	}
}

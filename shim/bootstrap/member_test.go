// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/shim/podkind"
)

// containerd 1.7 finds the shim of every container again, after a restart, by the address in the container's own
// bundle; without it, it takes the container for dead.
func TestMemberIsFoundAgain(t *testing.T) {
	sockets, err := os.MkdirTemp("/tmp", "kp") // t.TempDir is too long for a socket below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(sockets)
	p := Params{GRPCAddress: "/c.sock", SocketDir: sockets}
	b := bundle{dir: t.TempDir(), kind: podkind.Member, pod: "pod"}
	inv := Invocation{ID: "c", Namespace: "ns"}
	if _, err := findOrSpawn(inv, p, b); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a container of a pod that has ended: %v", err)
	}
	address, err := socketAddress(p, inv.Namespace, b.pod)
	if err != nil {
		t.Fatal(err)
	}
	shim, err := listen(address)
	if err != nil {
		t.Fatal(err)
	}
	defer shim.Close()
	if got, err := findOrSpawn(inv, p, b); err != nil || got != address {
		t.Errorf("the pod's shim is at %s, want %s, error %v", got, address, err)
	}
	if got, err := os.ReadFile(filepath.Join(b.dir, FileAddress)); err != nil || string(got) != address {
		t.Errorf("the container's bundle says %q, want %s, error %v", got, address, err)
	}
}

// After an upgrade, containerd may name another directory for sockets: the shims of pods that run stay where they are.
func TestMemberOfAPodFromBeforeAnUpgrade(t *testing.T) {
	sockets, err := os.MkdirTemp("/tmp", "kp") // t.TempDir is too long for a socket below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(sockets)
	before, err := socketAddress(Params{GRPCAddress: "/c.sock", SocketDir: filepath.Join(sockets, "before")}, "ns", "pod")
	if err != nil {
		t.Fatal(err)
	}
	shim, err := listen(before)
	if err != nil {
		t.Fatal(err)
	}
	defer shim.Close()
	pod, member := bundle{dir: filepath.Join(t.TempDir(), "pod")}, bundle{kind: podkind.Member, pod: "pod"}
	member.dir = filepath.Join(filepath.Dir(pod.dir), "c")
	for _, dir := range []string{pod.dir, member.dir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := pod.write(FileAddress, before); err != nil {
		t.Fatal(err)
	}
	after := Params{GRPCAddress: "/c.sock", SocketDir: filepath.Join(sockets, "after")}
	if got, err := findOrSpawn(Invocation{ID: "c", Namespace: "ns"}, after, member); err != nil || got != before {
		t.Errorf("the pod's shim is at %s, want %s, error %v", got, before, err)
	}
}

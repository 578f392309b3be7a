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

// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
)

// withUsers has a pod take its VMM's user from a range.
func withUsers(users string) func(*Options) {
	return func(o *Options) { o.Config.Hypervisor.VMMUsers = users }
}

func TestUserOfTheVMM(t *testing.T) {
	f := startedFixture(t, withUsers("100-101"))
	if user := f.vm.Config().User; user != 101 {
		t.Errorf("the VMM runs as %d", user)
	}
	claim := filepath.Join(f.host.claims, "101")
	if owner, err := os.Readlink(claim); err != nil || owner != f.pod.dirs.state {
		t.Errorf("the claim is %q, %v", owner, err)
	}
	if err := f.pod.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(claim); !os.IsNotExist(err) {
		t.Errorf("the claim is left: %v", err)
	}
}

// A user that another pod has is not taken, and is not given back either.
func TestUsersOfOthers(t *testing.T) {
	f := newFixture(t, withUsers("100-102"))
	taken := filepath.Join(f.host.claims, "101")
	if err := os.Symlink("/another", taken); err != nil {
		t.Fatal(err)
	}
	if err := f.pod.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if user := f.vm.Config().User; user != 102 {
		t.Errorf("the VMM runs as %d", user)
	}
	if err := f.pod.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if owner, err := os.Readlink(taken); err != nil || owner != "/another" {
		t.Errorf("the other's claim is %q, %v", owner, err)
	}
}

func TestNoUserIsLeft(t *testing.T) {
	f := newFixture(t, withUsers("100-101"))
	if err := os.Symlink("/another", filepath.Join(f.host.claims, "101")); err != nil {
		t.Fatal(err)
	}
	if err := f.pod.Start(context.Background()); !errdefs.IsResourceExhausted(err) {
		t.Errorf("error %v", err)
	}
}

// After a crash the ledger gives the user back.
func TestUserAfterACrash(t *testing.T) {
	f := startedFixture(t, withUsers("100-101"))
	text, err := os.ReadFile(f.pod.dirs.ledger())
	if err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "pod1")
	if err := errors.Join(os.Mkdir(crashed, 0o700), os.WriteFile(ledgerIn(crashed), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := cleanup(t.Context(), crashed, f.host.drivers(f.vm)); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(f.host.claims); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

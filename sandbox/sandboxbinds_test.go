// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/storage"
)

func TestSandboxBindMounts(t *testing.T) {
	a, b := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(b, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := startedFixture(t, func(o *Options) { o.Config.Runtime.SandboxBindMounts = []string{a + ":rw", b} })
	binds := f.pod.sandboxBinds()
	if len(binds) != 2 || binds[0].access != storage.Writable || binds[1].access != storage.ReadOnlyBelow || binds[0].source != a {
		t.Errorf("binds %+v", binds)
	}
	for _, b := range binds {
		if !slices.Contains(f.host.left(), "mount "+b.target) {
			t.Errorf("%s is not mounted", b.target)
		}
	}
}

func TestSandboxBindMountsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		change func(*Options)
		code   failure.Code
		cause  error
	}{
		"absent":    {func(o *Options) { o.Config.Runtime.SandboxBindMounts = []string{"/no/such"} }, failure.ShareFailed, fs.ErrNotExist},
		"same name": {func(o *Options) { o.Config.Runtime.SandboxBindMounts = []string{dir, dir + ":rw"} }, failure.ShareFailed, fs.ErrExist},
		"no share": {func(o *Options) {
			o.Config.Runtime.SandboxBindMounts, o.Config.Hypervisor.SharedFS = []string{dir}, "none"
		}, failure.ConfigInvalid, errdefs.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.change)
			step := StepShare
			if c.code == failure.ConfigInvalid {
				step = StepCheck
			}
			got := f.failsAt(step, c.cause)
			if got.Code != c.code || !errors.Is(got, c.cause) {
				t.Errorf("failure %v", got)
			}
		})
	}
}

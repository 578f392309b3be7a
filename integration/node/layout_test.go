// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/config"
)

func TestLayoutRefusesRoots(t *testing.T) {
	for _, root := range []string{
		"", "relative", "/", "/tmp", "/run/kpnode", "/var/lib/kpnode", "/etc/x", "/tmp/../run/x", "/tmp/" + strings.Repeat("x", 40),
	} {
		if l, err := newLayout(root, "/b", "/o"); !errdefs.IsInvalidArgument(err) {
			t.Errorf("the root %q was taken as %+v, error %v", root, l, err)
		}
	}
}

// A socket below a sandbox's state directory has to fit a unix socket's path.
func TestLayoutIsShort(t *testing.T) {
	l, err := newLayout("/tmp/kpnode-bench", "/b", "/o")
	if err != nil {
		t.Fatal(err)
	}
	if path := l.StateDir() + "/" + strings.Repeat("f", 64) + "/monitor.sock"; len(path) > 107 {
		t.Errorf("%s has %d bytes, a unix socket takes 107", path, len(path))
	}
	if !strings.HasPrefix(l.searchPath(), "/o/bin:/b:") {
		t.Errorf("the search path is %s; the shim under test has to be first", l.searchPath())
	}
}

func TestConfigIsWritten(t *testing.T) {
	root, err := os.MkdirTemp("/tmp", "kp") // t.TempDir is too long for sockets below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	l := Layout{Root: root, Bin: "/b", Out: "/o"}
	if err := writeConfig(t.Context(), l, containerdTemplate); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(l.KataConfig())
	if err != nil || len(loaded.Warnings) > 0 {
		t.Errorf("the shim reads its configuration with warnings %v and error %v", loaded.Warnings, err)
	}
	for name, wants := range map[string][]string{
		"etc/containerd.toml": {"version = 4", l.Socket(), "containerd.runtimes.kata-erofs]", "containerd.runtimes.kata-cold]", l.KataColdConfig(), "restrict_oom_score_adj = true", l.KataConfig()},
		"etc/kata.toml":       {`kernel = "/o/guest/vmlinux"`, l.StateDir()},
		"etc/cni":             nil,
		"blk/scratch.ext4":    nil,
	} {
		text := tail(l.path(name), 1<<20)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not contain %q:\n%s", name, want, text)
			}
		}
	}
}

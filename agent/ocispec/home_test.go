// SPDX-License-Identifier: Apache-2.0

package ocispec

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A process finds HOME=/ exactly when crun would leave it without one.
func TestGiveHome(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nshort\nuser:x:1000:1000::/home/user:/bin/sh\n"
	for _, c := range []struct {
		name   string
		make   func(etc string) error
		uid    uint32
		env    []string
		mounts []string
		given  bool
	}{
		{name: "an account", uid: 1000},
		{name: "root's account"},
		{name: "no account", uid: 4242, given: true},
		{name: "no account, but HOME", uid: 4242, env: []string{"HOME=/elsewhere"}},
		{name: "no account, and an empty HOME", uid: 4242, env: []string{"HOME="}},
		{name: "accounts are mounted", uid: 4242, mounts: []string{"/etc/passwd"}},
		{name: "all of /etc is mounted", uid: 4242, mounts: []string{"/etc/"}},
		{name: "something else is mounted", uid: 4242, mounts: []string{"/etc/hosts"}, given: true},
		{name: "no file", make: os.RemoveAll, given: true},
		{name: "a link out of the root", uid: 4242, given: true, make: func(etc string) error {
			outside := filepath.Join(t.TempDir(), "passwd")
			return replace(etc, func() error {
				if err := os.WriteFile(outside, []byte("x:x:4242:"), 0o644); err != nil {
					return err
				}
				return os.Symlink(outside, filepath.Join(etc, "passwd"))
			})
		}},
		{name: "a pipe that nobody writes to", given: true, make: func(etc string) error {
			return replace(etc, func() error { return unix.Mkfifo(filepath.Join(etc, "passwd"), 0o644) })
		}},
		{name: "a line without an end", uid: 4242, given: true, make: func(etc string) error {
			return os.WriteFile(filepath.Join(etc, "passwd"), []byte(strings.Repeat("x", 2*longestPasswd)), 0o644)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			etc := filepath.Join(root, "etc")
			if err := os.Mkdir(etc, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(etc, "passwd"), []byte(passwd), 0o644); err != nil {
				t.Fatal(err)
			}
			if c.make != nil {
				if err := c.make(etc); err != nil {
					t.Fatal(err)
				}
			}
			spec := &specs.Spec{Root: &specs.Root{Path: root}}
			for _, at := range c.mounts {
				spec.Mounts = append(spec.Mounts, specs.Mount{Destination: at})
			}
			p := &specs.Process{User: specs.User{UID: c.uid}, Env: slices.Clone(c.env)}
			GiveHome(spec, p)
			if got := slices.Contains(p.Env, "HOME=/"); got != c.given || !c.given && len(p.Env) != len(c.env) {
				t.Errorf("the environment is %q, HOME=/ should be given: %v", p.Env, c.given)
			}
		})
	}
}

// replace makes etc/passwd anew.
func replace(etc string, make func() error) error {
	if err := os.Remove(filepath.Join(etc, "passwd")); err != nil {
		return err
	}
	return make()
}

// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor/hypervisortest"
)

const cHelp = "usage: virtiofsd [options]\n    -o sandbox=namespace|chroot\n    -o source=PATH\n    --fd=FDNUM\n"

func TestRecognise(t *testing.T) {
	for _, tc := range []struct {
		name, help string
		want       flavor
		ok         bool
	}{
		{"C daemon of QEMU 7.2", cHelp, flavor{announceOption: true}, true},
		{"early Rust daemon", "--shared-dir <SHARED_DIR>\n--announce-submounts\n", flavor{rust: true, announceOption: true}, true},
		{"later Rust daemon", "--shared-dir <SHARED_DIR>\n--no-announce-submounts\n", flavor{rust: true}, true},
		{"something else", "usage: cat [OPTION]... [FILE]...", flavor{}, false},
	} {
		if got, ok := recognise(tc.help); got != tc.want || ok != tc.ok {
			t.Errorf("%s: %+v, %v; want %+v, %v", tc.name, got, ok, tc.want, tc.ok)
		}
	}
}

// A binary is asked for its options once, and again when it is another file.
func TestFindings(t *testing.T) {
	dir := t.TempDir()
	binary, asked := filepath.Join(dir, "virtiofsd"), filepath.Join(dir, "asked")
	write := func(help string) {
		t.Helper()
		script := "#!/bin/sh\necho x >>" + asked + "\necho '" + help + "'\n"
		if err := os.WriteFile(binary+".new", []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(binary+".new", binary); err != nil {
			t.Fatal(err)
		}
	}
	kept := findings(filepath.Join(dir, "kept"))
	for i, c := range []struct {
		help  string
		rust  bool
		times int
		spoil func()
	}{
		{"--shared-dir", true, 1, func() {}},
		{"", true, 1, func() {}},
		{"-o source=", false, 2, func() {}},
		{"", false, 3, func() { _ = os.WriteFile(kept.file(binary), []byte("rubbish"), 0o600) }},
		{"", false, 3, func() {}},
	} {
		if c.help != "" {
			write(c.help)
		}
		c.spoil()
		f, err := kept.flavor(t.Context(), binary)
		text, readErr := os.ReadFile(asked)
		if err != nil || readErr != nil || f.rust != c.rust || len(text) != 2*c.times {
			t.Errorf("%d: flavor %+v, error %v, asked %d times, error %v", i, f, err, len(text)/2, readErr)
		}
	}
	if _, err := findings("").flavor(t.Context(), binary); err != nil {
		t.Error(err)
	}
	if _, err := kept.flavor(t.Context(), binary+".absent"); err == nil {
		t.Error("an absent binary has a flavor")
	}
}

func TestArgs(t *testing.T) {
	c := Config{SharedDir: `/a,b\c`, Cache: "never", ExtraArgs: []string{"--last"}}
	for _, tc := range []struct {
		name string
		f    flavor
		want string
	}{
		{"C", flavor{announceOption: true}, `-f --fd=3 --rlimit-nofile=99 -o source=/share -o cache=none -o sandbox=namespace,xattr,announce_submounts,log_level=warn --last`},
		{"Rust", flavor{rust: true}, `--fd=3 --shared-dir=/share --cache=never --sandbox=namespace --seccomp=kill --xattr --rlimit-nofile=99 --last`},
		{"early Rust", flavor{rust: true, announceOption: true}, `--fd=3 --shared-dir=/share --cache=never --sandbox=namespace --seccomp=kill --xattr --rlimit-nofile=99 --announce-submounts --last`},
	} {
		got, err := tc.f.args(c, 3, 99)
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", tc.name, strings.Join(got, " "), err, tc.want)
		}
	}
}

func TestCacheModes(t *testing.T) {
	for _, tc := range []struct {
		mode    string
		rust    bool
		want    string
		wantErr error
	}{
		{"", false, "auto", nil},
		{"auto", true, "auto", nil},
		{"always", false, "always", nil},
		{"none", true, "never", nil},
		{"never", false, "none", nil},
		{"metadata", true, "metadata", nil},
		{"metadata", false, "", errdefs.ErrNotImplemented},
		{"sometimes", true, "", errdefs.ErrInvalidArgument},
	} {
		got, err := flavor{rust: tc.rust}.cache(tc.mode)
		if got != tc.want || !errors.Is(err, tc.wantErr) {
			t.Errorf("cache %q, rust %v: %q, %v; want %q, %v", tc.mode, tc.rust, got, err, tc.want, tc.wantErr)
		}
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("virtiofsd", "#!/bin/sh\necho --shared-dir\n", 0o700)
	for _, tc := range []struct {
		name string
		c    Config
		err  error
		says string
	}{
		{"no binary", Config{Binary: dir + "/none"}, errdefs.ErrNotFound, "virtio_fs_daemon"},
		{"binary not executable", Config{Binary: write("plain", "x", 0o600)}, errdefs.ErrInvalidArgument, "not an executable"},
		{"corrupt binary", Config{Binary: write("corrupt", "\x00\x01", 0o700)}, nil, "may be corrupt"},
		{"another program", Config{Binary: write("other", "#!/bin/sh\necho hi\n", 0o700)}, errdefs.ErrInvalidArgument, "--help"},
		{"no directory", Config{Binary: good, SharedDir: dir + "/none"}, errdefs.ErrInvalidArgument, "not a directory"},
		{"bad cache", Config{Binary: good, Cache: "x"}, errdefs.ErrInvalidArgument, "allowed are"},
		{"long socket", Config{Binary: good, Socket: "/" + strings.Repeat("x", 107)}, errdefs.ErrInvalidArgument, "107"},
		{"socket taken", Config{Binary: good, Socket: good}, errdefs.ErrAlreadyExists, "already"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.c.SharedDir == "" {
				tc.c.SharedDir = dir
			}
			if tc.c.Socket == "" {
				tc.c.Socket = filepath.Join(dir, "s")
			}
			d, err := Start(t.Context(), tc.c)
			if err == nil {
				_ = d.Stop(t.Context())
				t.Fatal("no error")
			}
			if tc.err != nil && !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %q, want %v and %q in it", err, tc.err, tc.says)
			}
			if _, err := os.Stat(filepath.Join(dir, "s")); err == nil {
				t.Error("a socket is left")
			}
		})
	}
}

// start runs the real daemon over a directory whose name wants escaping.
func start(t *testing.T, change func(*Config)) (*Daemon, Config, error) {
	t.Helper()
	dir := t.TempDir()
	c := Config{Binary: hypervisortest.Virtiofsd(t), Socket: filepath.Join(dir, "fs.sock"), SharedDir: filepath.Join(dir, `a,b`)}
	if err := os.Mkdir(c.SharedDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	d, err := Start(t.Context(), c)
	if err == nil {
		t.Cleanup(func() { _ = d.Stop(context.Background()) })
	}
	return d, c, err
}

func TestStartAndStop(t *testing.T) {
	var pids []int
	d, c, err := start(t, func(c *Config) {
		c.Spawned = func(pid int) error { pids = append(pids, pid); return nil }
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(pids, d.PID()) {
		t.Errorf("Spawned saw %v, not the daemon %d", pids, d.PID())
	}
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		t.Fatalf("the socket does not listen: %v", err)
	}
	defer conn.Close()
	for range 2 {
		if err := d.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Exit(); err != nil {
		t.Errorf("exit after a stop: %v", err)
	}
	assertGone(t, d, c)
}

func TestEndsWhenTheVMMDisconnects(t *testing.T) {
	d, c, err := start(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	awaitDone(t, d)
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertGone(t, d, c)
}

func TestDeathOfTheDaemon(t *testing.T) {
	d, c, err := start(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(d.PID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitDone(t, d)
	if err := d.Exit(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("exit %v, want that it was killed", err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertGone(t, d, c)
}

func TestUnknownArgumentIsInTheExit(t *testing.T) {
	d, _, err := start(t, func(c *Config) { c.ExtraArgs = []string{"--no-such-option"} })
	if err != nil {
		t.Fatal(err)
	}
	awaitDone(t, d)
	if err := d.Exit(); err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("exit %v does not repeat what the daemon said", err)
	}
}

func TestSpawnedError(t *testing.T) {
	cause := errors.New("no cgroup")
	pid := 0
	_, c, err := start(t, func(c *Config) { c.Spawned = func(p int) error { pid = p; return cause } })
	if !errors.Is(err, cause) {
		t.Fatalf("error %v", err)
	}
	if unix.Kill(pid, 0) == nil {
		t.Errorf("process %d is left", pid)
	}
	if _, err := os.Lstat(c.Socket); err == nil {
		t.Error("the socket is left")
	}
}

func awaitDone(t *testing.T, d *Daemon) {
	t.Helper()
	select {
	case <-d.Done():
	case <-time.After(time.Minute):
		t.Fatal("the daemon did not end")
	}
}

// assertGone checks that no process of the daemon's group and no socket stay.
func assertGone(t *testing.T, d *Daemon, c Config) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for unix.Kill(-d.PID(), 0) == nil { // Killed orphans are reaped by init, which nobody else is told of.
		if time.Now().After(deadline) {
			t.Fatalf("a process of group %d is left", d.PID())
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := os.Lstat(c.Socket); err == nil {
		t.Error("the socket is left")
	}
}

func TestDebugArgs(t *testing.T) {
	for f, want := range map[flavor]string{{}: ",log_level=info", {rust: true}: "--log-level=info"} {
		got, err := f.args(Config{SharedDir: "/a", Debug: true}, 3, 99)
		if err != nil || !strings.Contains(strings.Join(got, " "), want) {
			t.Errorf("%+v: %q, %v; want %s in it", f, got, err, want)
		}
	}
}

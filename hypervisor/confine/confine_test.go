// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// user is that of the tests' processes.
const user = 1_999_000_000

// shell is a static program that can look at its surroundings.
func shell(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a confined process can be started by root only")
	}
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	return path
}

// say runs a shell's script in confinement and returns what it says.
func say(t *testing.T, p Process, script string, binds ...Bind) string {
	t.Helper()
	program := shell(t)
	libraries, err := Libraries(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	if p.Root == nil {
		if p.Root, err = NewRoot(); err != nil {
			t.Fatal(err)
		}
	}
	defer p.Root.Close()
	for _, l := range libraries {
		p.Root.Bind(Bind{From: l})
	}
	p.Root.Bind(binds...)
	cmd := exec.Command(program, "-c", script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = &out, &out, "/", []string{}
	if err := Start(cmd, p); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String()
}

func TestRootHoldsWhatWasPutThere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, secret, hidden := write("open", "o", 0o644), write("secret", "s", 0o600), write("hidden", "h", 0o644)
	root, err := NewRoot()
	if err != nil {
		t.Fatal(err)
	}
	own, err := root.Create("own", user)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if err := root.Device(os.DevNull, user); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`read a <%s; echo "open $a"; read a <%s; echo "copied $a"
( read a <%s ) 2>/dev/null || echo no hidden
( echo x >%s ) 2>/dev/null || echo no write
( echo x >/new ) 2>/dev/null || echo no new file
echo mine >/own && echo written
for f in /*; do echo "$f"; done
( read a </proc/self/status ) 2>/dev/null || echo no proc
( read a </etc/passwd ) 2>/dev/null || echo no passwd
echo pid $$`, open, secret, hidden, open)
	got := say(t, Process{User: user, Root: root}, script, Bind{From: open}, Bind{From: secret})
	for _, want := range []string{"open o", "copied s", "no hidden", "no write", "no new file", "written", "no proc", "no passwd", "pid 1", "/own\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in what it says:\n%s", want, got)
		}
	}
	for _, gone := range []string{"/run\n", "/home\n", "/var\n", "nonexistent"} {
		if strings.Contains(got, gone) {
			t.Errorf("%q is there:\n%s", gone, got)
		}
	}
	if _, err := own.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(own); err != nil || string(text) != "mine\n" {
		t.Errorf("its own file holds %q, %v", text, err)
	}
}

// TestStatus looks at a confined process from outside.
func TestStatus(t *testing.T) {
	program := shell(t)
	libraries, err := Libraries(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		process Process
		want    []string
	}{
		"a user": {Process{User: user}, []string{
			"Uid:\t1999000000\t1999000000\t1999000000\t1999000000\n", "Gid:\t1999000000\t1999000000\t1999000000\t1999000000\n", "Groups:\t \n",
			"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
			"CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n",
		}},
		"root with one capability": {Process{Keep: []uintptr{unix.CAP_CHOWN}}, []string{
			"Uid:\t0\t0\t0\t0\n", "CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000001\n", "CapEff:\t0000000000000001\n",
			"CapBnd:\t0000000000000001\n", "NoNewPrivs:\t1\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := tc.process
			if p.Root, err = NewRoot(); err != nil {
				t.Fatal(err)
			}
			defer p.Root.Close()
			for _, l := range libraries {
				p.Root.Bind(Bind{From: l})
			}
			cmd := exec.Command(program, "-c", "echo up; read a")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			cmd.Stdin, cmd.Dir = r, "/"
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := Start(cmd, p); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(string(status), want) {
					t.Errorf("%q is not in\n%s", want, status)
				}
			}
			apart(t, cmd.Process.Pid)
		})
	}
}

// apart checks namespaces and mounts of a process.
func apart(t *testing.T, pid int) {
	t.Helper()
	for _, ns := range []string{"mnt", "pid", "ipc", "uts"} {
		mine, err := os.Readlink("/proc/self/ns/" + ns)
		if err != nil {
			t.Fatal(err)
		}
		if its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns)); err != nil || its == mine {
			t.Errorf("namespace %s: %s, %v, the host's is %s", ns, its, err, mine)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); !strings.HasPrefix(fields[5], "ro,") {
			t.Errorf("a writable mount: %s", line)
		}
	}
	if entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/run", pid)); err == nil {
		t.Errorf("it has /run: %v", entries)
	}
}

// TestCallerStaysAsItIs starts processes from many threads, among them the first.
func TestCallerStaysAsItIs(t *testing.T) {
	before := self(t)
	for range 20 {
		if got := say(t, Process{User: user}, "echo $$"); got != "1\n" {
			t.Fatalf("it says %q", got)
		}
	}
	if after := self(t); after != before {
		t.Errorf("the caller was\n%s\nand is\n%s", before, after)
	}
	// A thread ends after the start that it was made for, and nothing tells when.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		left := doomed(t)
		if left == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the thread of %s is left", left)
		}
	}
}

// doomed names a thread of the caller that can get no privilege.
func doomed(t *testing.T) string {
	t.Helper()
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range threads {
		text, err := os.ReadFile(status)
		if err == nil && strings.Contains(string(text), "NoNewPrivs:\t1") {
			return status
		}
	}
	return ""
}

// self is what of the caller must not change.
func self(t *testing.T) string {
	t.Helper()
	all := ""
	for _, link := range []string{"root", "cwd", "ns/mnt", "ns/net", "ns/ipc", "ns/uts", "ns/pid_for_children"} {
		to, err := os.Readlink("/proc/self/" + link)
		if err != nil {
			t.Fatal(err)
		}
		all += link + " " + to + "\n"
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	// Others mount and unmount on this machine meanwhile. Whatever of a start came
	// back here, it would come with the root directory that is mounted first.
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); fields[4] == "/" || strings.Contains(line, " - tmpfs katapod ") {
			all += line
		}
	}
	return all
}

func TestWhatCannotBeStarted(t *testing.T) {
	program := shell(t)
	for name, tc := range map[string]struct {
		change func(*Process)
		says   string
	}{
		"a program that is not there": {func(*Process) {}, "no such file"},
		"a file that is not there":    {func(p *Process) { p.Root.Bind(Bind{From: "/nonexistent/file"}) }, "/nonexistent/file"},
		"no network namespace":        {func(p *Process) { p.NetNS = "/nonexistent/net" }, "network namespace"},
		"a file as that":              {func(p *Process) { p.NetNS = "/etc/hostname" }, "/etc/hostname"},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := NewRoot()
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			p := Process{Root: root, User: user}
			tc.change(&p)
			cmd := exec.Command(program)
			if err := Start(cmd, p); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
		})
	}
}

// TestTreeTakesLaterMounts sees what is mounted below a tree after the start.
func TestTreeTakesLaterMounts(t *testing.T) {
	program := shell(t)
	dir := t.TempDir()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if err := errors.Join(unix.Mount("", dir, "", unix.MS_SHARED, ""), os.Mkdir(dir+"/later", 0o755)); err != nil {
		t.Fatal(err)
	}
	libraries, err := Libraries(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	root, err := NewRoot(Bind{From: dir, At: "/share", Writable: true, Tree: true})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, l := range libraries {
		root.Bind(Bind{From: l})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-c", `read a; read b </share/later/file; echo "$b"; echo x >/share/new && echo written`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, "/"
	if err := Start(cmd, Process{Root: root, Keep: []uintptr{unix.CAP_DAC_OVERRIDE}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir+"/later", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/later/file", []byte("later\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "go\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || out.String() != "later\nwritten\n" {
		t.Errorf("it says %q, %v", out.String(), err)
	}
}

func TestLibraries(t *testing.T) {
	program := shell(t)
	files, err := Libraries(t.Context(), program)
	if err != nil || files[0] != program {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			t.Error(err)
		}
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if files, err := Libraries(t.Context(), text); err != nil || len(files) != 1 {
		t.Errorf("a script: %v, %v", files, err)
	}
}

func TestLibraryIn(t *testing.T) {
	for line, want := range map[string]string{
		"\tlinux-vdso.so.1 (0x00007ffd)\n":                       "",
		"\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7)\n": "/lib/x86_64-linux-gnu/libc.so.6",
		"\t/lib64/ld-linux-x86-64.so.2 (0x7)\n":                  "/lib64/ld-linux-x86-64.so.2",
		"\tlibx.so => not found\n":                               "",
		"\n":                                                     "",
	} {
		if got := libraryIn(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("a confined process can be started by root only")
	}
	libraries, err := Libraries(b.Context(), "/bin/true")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		root, err := NewRoot()
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range libraries {
			root.Bind(Bind{From: l})
		}
		cmd := exec.Command("/bin/true")
		if err := Start(cmd, Process{Root: root, User: user}); err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(root.Close(), cmd.Wait()); err != nil {
			b.Fatal(err)
		}
	}
}

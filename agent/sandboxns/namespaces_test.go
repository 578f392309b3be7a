// SPDX-License-Identifier: Apache-2.0

package sandboxns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/integration/leaktest"
)

// TestMain is the anchor when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == AnchorArgument {
		os.Exit(Anchor())
	}
	leaktest.Main(m)
}

func link(t *testing.T, path string) string {
	t.Helper()
	text, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestNamespaces(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces need root")
	}
	before := link(t, "/proc/self/ns/uts")
	n, err := New(Config{Dir: filepath.Join(t.TempDir(), "ns"), Hostname: "pod"})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Set(map[string]string{"kernel.shmmni": "1234", "kernel.domainname": "example"}); err != nil {
		t.Error(err)
	}
	out, err := exec.Command("nsenter", "--uts="+n.UTS, "--ipc="+n.IPC, "cat", "/proc/sys/kernel/hostname", "/proc/sys/kernel/shmmni", "/proc/sys/kernel/domainname").CombinedOutput()
	if err != nil || string(out) != "pod\n1234\nexample\n" {
		t.Errorf("%q, %v", out, err)
	}
	if link(t, "/proc/self/ns/uts") != before {
		t.Error("a thread of the test is in the pod's namespace")
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnchorReapsAndEnds(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces need root")
	}
	r, err := reaper.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	defer func() { cancel(); leaktest.Receive(t, done) }()
	n := &Namespaces{}
	for range 2 { // the second time it is there
		if err := n.StartPID(r); err != nil {
			t.Fatal(err)
		}
	}
	if link(t, n.PID) == link(t, "/proc/self/ns/pid") {
		t.Error("the anchor is in the agent's PID namespace")
	}
	// An orphan in the namespace becomes the anchor's child and is reaped.
	cmd := exec.Command("nsenter", "--pid="+n.PID, "sh", "-c", "sleep 0.05 & exit 0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if code, err := r.RunCommand(cmd); err != nil || code != 0 {
		t.Fatal(code, err, out.String())
	}
	children := filepath.Join("/proc", strings.Split(n.PID, "/")[2], "task", strings.Split(n.PID, "/")[2], "children")
	// The kernel tells nobody but the anchor of the end of its children.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(children)
		if errors.Is(err, os.ErrNotExist) {
			t.Skip("this kernel has no list of children")
		}
		if len(data) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the anchor keeps the children %s", data)
		}
	}
	path := n.PID
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	awaitGone(t, filepath.Dir(filepath.Dir(path)))
}

// awaitGone waits until a process, whose directory in proc(5) this is, has ended and was
// reaped, of which the kernel tells nobody: a pidfd is readable before that.
func awaitGone(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); errors.Is(err, unix.ENOENT) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the anchor is still there")
		}
	}
}

// TestAnchorOfTheImage: the image's program does what the agent does in its place.
func TestAnchorOfTheImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces need root")
	}
	program := filepath.Join(t.TempDir(), "anchor")
	out, err := exec.Command("bash", "-c", `. "$0/anchor.bash" && compile_anchor "$0" "$1"`, "../../guest-image", program).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) || strings.Contains(string(out), "gcc: command not found") {
		t.Skip("there is no gcc to compile the image's anchor with")
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, end := range []os.Signal{unix.SIGTERM, unix.SIGINT} {
		cmd := exec.Command(program, AnchorArgument)
		cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Setsid: true, Pdeathsig: unix.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitReaping(t, cmd.Process.Pid)
		if err := cmd.Process.Signal(end); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v", end, err)
		}
	}
}

// awaitReaping makes orphans in the namespace of an anchor, and waits until there
// is nothing in it but the anchor: only that one is told by the kernel when they end.
func awaitReaping(t *testing.T, anchor int) {
	t.Helper()
	cmd := exec.Command("nsenter", fmt.Sprintf("--pid=/proc/%d/ns/pid", anchor), "sh", "-c", "sleep 0.01 & sleep 0.02 & exit 0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	children := fmt.Sprintf("/proc/%d/task/%d/children", anchor, anchor)
	// The kernel tells nobody but the anchor of the end of its children.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(children)
		if errors.Is(err, os.ErrNotExist) {
			t.Skip("this kernel has no list of children")
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the anchor keeps the children %s", data)
		}
	}
}

func TestNamesOfParameters(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":            "/proc/sys/net/ipv4/ip_forward",
		"net/ipv4/conf/eth0.1/rp_filter": "/proc/sys/net/ipv4/conf/eth0.1/rp_filter",
		"net.ipv4.conf.eth0/1.rp_filter": "/proc/sys/net/ipv4/conf/eth0.1/rp_filter",
	} {
		if got, err := parameterPath(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "/etc/passwd", "../x", "net/../../x", "//..//x"} {
		if got, err := parameterPath(name); err == nil {
			t.Errorf("%q is %s", name, got)
		}
	}
}

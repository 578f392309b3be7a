// SPDX-License-Identifier: Apache-2.0

package nerdctl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// nerdctl is the command with the node it speaks to.
type nerdctl struct {
	*engine.Engine
	global      []string // flags before every command
	snapshotter string
}

// writableDisks has the EROFS snapshotter make a disk for what containers write, which therefore outlives a restart.
// Without it, that is in the guest's memory.
const writableDisks = "[plugins.'io.containerd.snapshotter.v1.erofs']\n  default_size = '64MiB'\n"

// start starts the node with nerdctl and the test image, under nerdctl's own name of the containerd namespace.
func start(t *testing.T) nerdctl {
	t.Helper()
	engine.Require(t)
	bin, err := node.Nerdctl(t.Context(), engine.Cache(t), node.NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.Start(t, node.Options{Name: "kpnode-nerd", Programs: bin, MoreConfig: writableDisks})
	n := nerdctl{Engine: e, snapshotter: "overlayfs", global: []string{
		"--address", e.Socket(), "--namespace", e.Name(), "--cgroup-manager", "cgroupfs",
		"--cni-path", bin, "--cni-netconfpath", filepath.Join(e.Root, "nerdctl/net"),
		"--data-root", filepath.Join(e.Root, "nerdctl/data"), "--hosts-dir", filepath.Join(e.Root, "etc/certs.d"),
	}}
	// What nerdctl keeps once it was used: the default network's configuration, locks.
	n.run(t, "run", "--rm", "--runtime", engine.Runc, images.Busybox, "true")
	n.Settle(t)
	// Nobody clears these up with runc either: nerdctl's notes of published ports, and FIFOs of `start --attach`.
	n.Ignore("/run/nerdctl", "/run/containerd/fifo")
	return n
}

func (n nerdctl) words(args ...string) []string {
	return append(append([]string{"--snapshotter", n.snapshotter}, n.global...), args...)
}

// run runs a command of nerdctl, which has to succeed, and returns its standard output.
func (n nerdctl) run(t *testing.T, args ...string) string {
	t.Helper()
	return n.Run(t, "nerdctl", n.words(args...)...)
}

// try runs a command of nerdctl to its end.
func (n nerdctl) try(t *testing.T, args ...string) node.Result {
	t.Helper()
	return n.Try(t, "nerdctl", n.words(args...)...)
}

// container are the words of a `run` with the runtime under test and these flags.
func (n nerdctl) container(flags ...string) []string {
	return append([]string{"run", "--runtime", n.Runtime}, flags...)
}

// Everything that nerdctl does with a container, from the image to its removal.
func TestNerdctl(t *testing.T) {
	n := start(t)
	t.Run("images", func(t *testing.T) { testImages(t, n) })
	t.Run("run", func(t *testing.T) { testRun(t, n) })
	t.Run("volumes", func(t *testing.T) { testVolumes(t, n) })
	t.Run("ports", func(t *testing.T) { testPorts(t, n) })
	t.Run("terminal", func(t *testing.T) { testTerminal(t, n) })
	t.Run("life", func(t *testing.T) { testLife(t, n) })
	t.Run("copy", func(t *testing.T) { testCopy(t, n) })
	t.Run("copy while it runs", func(t *testing.T) { testCopyRunning(t, n) })
	t.Run("refused", func(t *testing.T) { testRefused(t, n) })
	t.Run("erofs", func(t *testing.T) {
		n.snapshotter = "erofs"
		n.run(t, "run", "--rm", "--runtime", engine.Runc, images.Busybox, "true")
		n.Settle(t)
		testRows(t, n, runRows()[:3])
		testLife(t, n)
	})
}

// row is a container that runs a script and what comes of it.
type row struct {
	name, flags, script string
	code                int
	want                string
	guest               bool // reads files of cgroup version 2, which a guest has whatever the host has
}

// runRows are the flags of `nerdctl run` that say what a process is started with and what it may use.
func runRows() []row {
	return []row{
		{"output", "", "echo out; echo err >&2", 0, "out\n", false},
		{"exit code", "", "exit 42", 42, "", false},
		{"written root", "", "echo new >/new; cat /new", 0, "new\n", false},
		{"environment", "--env COLOUR=blue", "echo $COLOUR", 0, "blue\n", false},
		{"directory", "--workdir /tmp", "pwd", 0, "/tmp\n", false},
		{"hostname", "--hostname named", "hostname", 0, "named\n", false},
		{"user", "--user 1000:2000", "id -u; id -g", 0, "1000\n2000\n", false},
		{"read-only root", "--read-only", "touch /x 2>/dev/null || echo refused", 0, "refused\n", false},
		{"no capability", "--cap-drop ALL", "grep CapEff /proc/self/status | cut -f 2", 0, "0000000000000000\n", false},
		{"one capability", "--cap-drop ALL --cap-add NET_RAW", "grep CapEff /proc/self/status | cut -f 2", 0, "0000000000002000\n", false},
		{"memory and CPU", "-m 64m --cpus 0.5", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max", 0, "67108864\n50000 100000\n", true},
		{"processes", "--pids-limit 20", "cat /sys/fs/cgroup/pids.max", 0, "20\n", true},
		{"no network", "--network none", "ls /sys/class/net | xargs", 0, "lo\n", false},
		{"limits", "--ulimit nofile=123:456", "ulimit -n; ulimit -Hn", 0, "123\n456\n", false},
		{"in memory", "--tmpfs /t:size=1m", "df -k /t | tail -n 1 | awk '{ print $2 }'", 0, "1024\n", false},
		{"sysctl", "--sysctl net.ipv4.ip_unprivileged_port_start=77", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", 0, "77\n", false},
		{"entry", "--entrypoint echo", "", 0, "sh -c\n", false},
	}
}

func testRun(t *testing.T, n nerdctl) { testRows(t, n, runRows()) }

func testRows(t *testing.T, n nerdctl, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if r.guest && n.Runtime == engine.Runc {
				t.Skip("the host may have cgroup version 1")
			}
			flags := append([]string{"--rm"}, strings.Fields(r.flags)...)
			args := append(n.container(flags...), images.Busybox, "sh", "-c")
			if r.script != "" {
				args = append(args, r.script)
			}
			res := n.try(t, args...)
			if res.Code != r.code || res.Stdout != r.want {
				t.Errorf("exit code %d and output %q, want %d and %q; error output: %s", res.Code, res.Stdout, r.code, r.want, res.Stderr)
			}
		})
	}
	n.WantNothingLeft(t)
}

// testVolumes binds a directory of the host and a volume that nerdctl makes.
func testVolumes(t *testing.T, n nerdctl) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("from the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := "cat /data/in; echo from inside >/data/out; touch /fixed/x 2>/dev/null || echo refused; echo kept >/volume/file"
	got := n.run(t, append(n.container("--rm", "-v", dir+":/data", "-v", dir+":/fixed:ro", "-v", "vol:/volume"),
		images.Busybox, "sh", "-c", script)...)
	if want := "from the host\nrefused\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(text) != "from inside\n" {
		t.Errorf("the host reads %q, error %v", text, err)
	}
	if got := n.run(t, append(n.container("--rm", "-v", "vol:/volume"), images.Busybox, "cat", "/volume/file")...); got != "kept\n" {
		t.Errorf("the next container reads %q from the volume", got)
	}
	n.run(t, "volume", "rm", "vol")
	n.WantNothingLeft(t)
}

// testTerminal runs a shell with -it.
func testTerminal(t *testing.T, n nerdctl) {
	ctx := engine.Context(t)
	args := n.words(append(n.container("--rm", "-it"), images.Busybox, "sh", "-c", node.PlainShell)...)
	term, err := n.Runner().StartTerminal(ctx, 90, 30, "nerdctl", args...)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(ctx, "until stty size 2>/dev/null | grep '30 90'; do :; done; echo s''ized\n", "sized"); err != nil {
		t.Fatal(err)
	}
	if err := term.Resize(111, 44); err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(ctx, "until stty size | grep '44 111'; do :; done; echo re''sized\n", "resized", "exit 9\n", ""); err != nil {
		t.Fatal(err)
	}
	if code, err := term.Wait(ctx); err != nil || code != 9 {
		t.Errorf("the shell ended with code %d, want 9, error %v", code, err)
	}
	n.WantNothingLeft(t)
}

// testPorts publishes a port and reaches it from the node.
func testPorts(t *testing.T, n nerdctl) {
	n.run(t, append(n.container("--detach", "--name", "web", "--publish", "18080:7000"), images.Busybox, "probe", "listen", ":7000", "reached")...)
	n.waitLog(t, "web", "listening", 1)
	probe := filepath.Join(n.Out, "engines", n.Name(), "probe")
	n.Want(t, "reached\n", probe, "dial", fmt.Sprintf("%s:18080", node.AddressV4))
	if got := n.run(t, "port", "web"); !strings.Contains(got, "7000/tcp -> 0.0.0.0:18080") {
		t.Errorf("the published ports are %q", got)
	}
	n.run(t, "rm", "--force", "web")
	n.WantNothingLeft(t)
}

// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/node"
)

func TestPodLifeCycle(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "life"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
	pod.waitLog("main", "waiting")
	if state := pod.state(id); state != "CONTAINER_RUNNING" {
		t.Errorf("a started container is in state %s", state)
	}
	if _, err := shared.Crictl(ctx, "stop", "--timeout", "10", id); err != nil {
		t.Fatal(err)
	}
	if state, code := pod.state(id), pod.exitCode(id); state != "CONTAINER_EXITED" || code != 0 {
		t.Errorf("a container that ends at SIGTERM is in state %s with exit code %d, want CONTAINER_EXITED with 0", state, code)
	}
	if _, err := shared.Crictl(ctx, "rm", id); err != nil {
		t.Fatal(err)
	}
	again := pod.start(node.Container{Name: "again", Args: []string{"sh", "-c", "exit 7"}})
	pod.waitExited(again)
	if code := pod.exitCode(again); code != 7 {
		t.Errorf("a container that calls exit 7 has exit code %d", code)
	}
}

// The containers of a pod share network, IPC and /dev/shm, and have root file systems of their own.
func TestPodSharing(t *testing.T) {
	pod := startPod(t, node.Pod{Name: "sharing", Hostname: "pod-host"})
	one := pod.start(node.Container{Name: "one", Args: []string{"probe", "listen", "127.0.0.1:7001", "hello from one"}})
	two := pod.start(node.Container{Name: "two", Args: []string{"probe", "listen", "[::1]:7002", "hello from two"}})
	pod.waitLog("one", "listening")
	pod.waitLog("two", "listening")
	for _, c := range []struct {
		name, in, want string
		args           []string
	}{
		{"localhost IPv4", two, "hello from one\n", []string{"probe", "dial", "127.0.0.1:7001"}},
		{"localhost IPv6", one, "hello from two\n", []string{"probe", "dial", "[::1]:7002"}},
		{"hostname", one, "pod-host\n", []string{"hostname"}},
		{"put SysV memory", one, "", []string{"probe", "shm-put", "4711", "over IPC"}},
		{"get SysV memory", two, "over IPC\n", []string{"probe", "shm-get", "4711"}},
		{"write /dev/shm", two, "", []string{"sh", "-c", "echo shared >/dev/shm/file"}},
		{"read /dev/shm", one, "shared\n", []string{"cat", "/dev/shm/file"}},
		{"write root", one, "", []string{"sh", "-c", "echo own >/only-here"}},
		{"not in the other root", two, "none\n", []string{"sh", "-c", "cat /only-here 2>/dev/null || echo none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := pod.exec(c.in, c.args...); got != c.want {
				t.Errorf("%v printed %q, want %q", c.args, got, c.want)
			}
		})
	}
	if a, b := pod.exec(one, "readlink", "/proc/self/ns/ipc"), pod.exec(two, "readlink", "/proc/self/ns/ipc"); a != b {
		t.Errorf("the containers are in different IPC namespaces: %s and %s", a, b)
	}
	if a, b := pod.exec(one, "readlink", "/proc/self/ns/mnt"), pod.exec(two, "readlink", "/proc/self/ns/mnt"); a == b {
		t.Errorf("the containers are in one mount namespace: %s", a)
	}
}

// The node and another pod reach a pod by both its addresses, and its published port.
func TestPodNetwork(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "net-a", Ports: []node.Port{{ContainerPort: 7000, HostPort: 17000}}})
	pod.start(node.Container{Name: "server", Args: []string{"probe", "listen", ":7000", "reached"}})
	pod.waitLog("server", "listening")
	other := startPod(t, node.Pod{Name: "net-b"})
	client := other.start(node.Container{Name: "client", Args: []string{"probe", "pause"}})
	addresses, err := shared.PodAddresses(ctx, pod.id)
	if err != nil {
		t.Fatal(err)
	}
	if len(addresses) != 2 {
		t.Fatalf("the pod has the addresses %v, want one of each family", addresses)
	}
	probe := filepath.Join(shared.Out, "node", "probe")
	for _, address := range addresses {
		target := joinPort(address, 7000)
		if got := other.exec(client, "probe", "dial", target); got != "reached\n" {
			t.Errorf("from the other pod, %s said %q", target, got)
		}
		if got, err := shared.Runner().Run(ctx, probe, "dial", target); err != nil || got != "reached\n" {
			t.Errorf("from the node, %s said %q, error %v", target, got, err)
		}
	}
	if got, err := shared.Runner().Run(ctx, probe, "dial", joinPort(node.AddressV4, 17000)); err != nil || got != "reached\n" {
		t.Errorf("the published port said %q, error %v", got, err)
	}
	if out := other.exec(client, "ip", "route"); !strings.Contains(out, "default via 10.88.0.1") {
		t.Errorf("the pod's routes are %q, want a default route", out)
	}
}

func TestPodLogs(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "logs"})
	id := pod.start(node.Container{Name: "main", Args: []string{"sh", "-c", "echo out; echo err >&2; seq 20000"}})
	pod.waitExited(id)
	res, err := shared.Runner().Try(ctx, "crictl", "logs", id)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(res.Stdout), "\n")
	if len(lines) != 20001 || lines[0] != "out" || lines[20000] != "20000" {
		t.Errorf("the log has %d lines from %q to %q, want 20001 from out to 20000", len(lines), lines[0], lines[len(lines)-1])
	}
	if !strings.Contains(res.Stderr, "err") {
		t.Errorf("the error output in the log is %q", res.Stderr)
	}
}

func TestPodExec(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "exec"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}, Env: map[string]string{"COLOUR": "blue"}, Cwd: "/tmp"})

	t.Run("environment and directory", func(t *testing.T) {
		if got := pod.exec(id, "sh", "-c", "echo $COLOUR; pwd"); got != "blue\n/tmp\n" {
			t.Errorf("printed %q", got)
		}
	})
	t.Run("exit code", func(t *testing.T) {
		res, err := shared.Runner().Try(ctx, "crictl", "exec", id, "sh", "-c", "exit 42")
		if err != nil || res.Code == 0 || !strings.Contains(res.Stderr, "42") {
			t.Errorf("exit 42 gave code %d, %q, error %v", res.Code, res.Stderr, err)
		}
	})
	t.Run("synchronous", func(t *testing.T) {
		if got, err := shared.Crictl(ctx, "exec", "--sync", id, "echo", "sync"); err != nil || strings.TrimSpace(got) != "sync" {
			t.Errorf("printed %q, error %v", got, err)
		}
	})
	t.Run("standard input", func(t *testing.T) {
		text := strings.Repeat("0123456789abcde\n", 1<<16) // 1 MiB
		runner := shared.Runner().With(strings.NewReader(text))
		got, err := runner.Run(ctx, "crictl", "exec", "--interactive", id, "sha256sum")
		if want := sha256sum(text) + "  -\n"; err != nil || got != want {
			t.Errorf("the checksum of 1 MiB through stdin is %q, want %q, error %v", got, want, err)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		term, err := shared.Runner().StartTerminal(ctx, 101, 33, "crictl", "exec", "--interactive", "--tty",
			id, "sh", "-c", node.PlainShell)
		if err != nil {
			t.Fatal(err)
		}
		steps := []struct{ typed, want string }{
			{"tty; stty size\n", "/dev/pts/"},
			{"", "33 101"},
			{"echo $((40+2))\n", "\n42\n"},
			{"exit 3\n", ""},
		}
		for _, s := range steps {
			if err := term.Type(s.typed); err != nil {
				t.Fatal(err)
			}
			if err := term.Expect(ctx, s.want); err != nil {
				t.Fatal(err)
			}
		}
		if code, err := term.Wait(ctx); err != nil || code == 0 {
			t.Errorf("a shell that ended with exit 3 gave code %d, error %v", code, err)
		}
	})
}

func TestPodAttach(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "attach"})
	id := pod.start(node.Container{Name: "main", Args: []string{"sh", "-c", node.PlainShell}, TTY: true, Stdin: true})
	term, err := shared.Runner().StartTerminal(ctx, 80, 24, "crictl", "attach", "--stdin", "--tty", id)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct{ typed, want string }{{"echo at$((6*7))ached\n", "at42ached"}, {"exit 5\n", ""}} {
		if err := term.Type(s.typed); err != nil {
			t.Fatal(err)
		}
		if err := term.Expect(ctx, s.want); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := term.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	pod.waitExited(id)
	if code := pod.exitCode(id); code != 5 {
		t.Errorf("the shell that was attached to has exit code %d, want 5", code)
	}
}

func TestPodStats(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "stats"})
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "eat", "20000000"}})
	pod.waitLog("main", "ate")
	var stats struct {
		Stats []struct {
			CPU    struct{ UsageCoreNanoSeconds struct{ Value string } }
			Memory struct{ WorkingSetBytes struct{ Value string } }
		}
	}
	if err := shared.CrictlJSON(ctx, &stats, "stats", "--id", id); err != nil {
		t.Fatal(err)
	}
	if len(stats.Stats) != 1 {
		t.Fatalf("%d containers have stats, want 1", len(stats.Stats))
	}
	if memory := number(t, stats.Stats[0].Memory.WorkingSetBytes.Value); memory < 20e6 || memory > 120e6 {
		t.Errorf("a container that uses 20 MB has a working set of %d bytes", memory)
	}
	if cpu := number(t, stats.Stats[0].CPU.UsageCoreNanoSeconds.Value); cpu <= 0 {
		t.Errorf("the container has used %d ns of CPU", cpu)
	}
	if out, err := shared.Crictl(ctx, "statsp", "--id", pod.id); err != nil || !strings.Contains(out, "stats") {
		t.Errorf("the pod's stats are %q, error %v", out, err)
	}
}

func TestPodMounts(t *testing.T) {
	pod := startPod(t, node.Pod{Name: "mounts"})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("from the node\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}, Mounts: []node.Mount{
		{ContainerPath: "/data", HostPath: dir},
		{ContainerPath: "/fixed", HostPath: dir, Readonly: true},
		{ContainerPath: "/file", HostPath: dir + "/in"},
	}})
	if got := pod.exec(id, "cat", "/data/in", "/fixed/in", "/file"); got != strings.Repeat("from the node\n", 3) {
		t.Errorf("the mounts hold %q", got)
	}
	pod.exec(id, "sh", "-c", "echo from the pod >/data/out")
	if got, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(got) != "from the pod\n" {
		t.Errorf("the node reads %q, error %v", got, err)
	}
	if got := pod.exec(id, "sh", "-c", "touch /fixed/x 2>/dev/null || echo refused"); got != "refused\n" {
		t.Errorf("writing to a read-only mount: %q", got)
	}
}

// CRI's event for a container that the kernel ended for lack of memory.
func TestPodOOM(t *testing.T) {
	pod := startPod(t, node.Pod{Name: "oom"})
	id := pod.start(node.Container{
		Name: "main", Args: []string{"probe", "eat", "200000000"},
		Linux: map[string]any{"resources": map[string]any{"memory_limit_in_bytes": 40 << 20}},
	})
	pod.waitExited(id)
	if code := pod.exitCode(id); code != 137 {
		t.Errorf("the container has exit code %d, want 137", code)
	}
	waitFor(t, soon, "reason OOMKilled", func() bool { return pod.status(id).Reason == "OOMKilled" })
}

// TestPodMemory fills a pod to its limit. At 95 % nothing is killed, on the host or in the
// guest; at 110 % it is the container that did it, and nothing else.
func TestPodMemory(t *testing.T) {
	const most, over = 320 << 20, 192 << 20
	pod := startPod(t, node.Pod{Name: "memory", Memory: most + over})
	limit := func(bytes int) map[string]any {
		return map[string]any{"resources": map[string]any{"memory_limit_in_bytes": bytes}}
	}
	large := pod.start(node.Container{Name: "large", Args: []string{"probe", "eat", strconv.Itoa(most / 100 * 95)}, Linux: limit(most)})
	pod.waitLog("large", "ate")
	small := pod.start(node.Container{Name: "small", Args: []string{"probe", "eat", strconv.Itoa(over / 100 * 110)}, Linux: limit(over)})
	pod.waitExited(small)
	if code := pod.exitCode(small); code != 137 {
		t.Errorf("the container beyond its limit has exit code %d, want 137", code)
	}
	waitFor(t, soon, "reason OOMKilled", func() bool { return pod.status(small).Reason == "OOMKilled" })
	// What it had is there for the next.
	fits := pod.start(node.Container{Name: "fits", Args: []string{"probe", "eat", strconv.Itoa(over / 100 * 90)}, Linux: limit(over)})
	pod.waitLog("fits", "ate")
	for name, id := range map[string]string{"large": large, "fits": fits} {
		if state := pod.state(id); state != "CONTAINER_RUNNING" {
			t.Errorf("container %s is %s", name, state)
		}
	}
	if shared.runtime != "runc" {
		noHostOOM(t, pod.id)
	}
}

// noHostOOM looks for kills in the pod's cgroup on the host, in which there are the VMM
// and its helpers.
func noHostOOM(t *testing.T, pod string) {
	t.Helper()
	looked := 0
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil { // a group that went away meanwhile
			return nil
		}
		if name := d.Name(); !strings.Contains(path, pod) || name != "memory.oom_control" && name != "memory.events" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		looked++
		for line := range strings.Lines(string(text)) {
			if count, is := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); is && count != "0" {
				t.Errorf("%s counts %s kills on the host", path, count)
			}
		}
		return nil
	})
	if err != nil || looked == 0 {
		t.Errorf("%d groups of the pod were found on the host, error %v", looked, err)
	}
}

func TestPodSecurity(t *testing.T) {
	pod := startPod(t, node.Pod{Name: "security"})
	id := pod.start(node.Container{
		Name: "main", Args: []string{"probe", "pause"},
		Linux: map[string]any{"security_context": map[string]any{
			"run_as_user":     map[string]any{"value": 1000},
			"run_as_group":    map[string]any{"value": 2000},
			"readonly_rootfs": true,
			"no_new_privs":    true,
			"seccomp":         map[string]any{"profile_type": 0},
			"capabilities":    map[string]any{"drop_capabilities": []string{"ALL"}},
		}},
	})
	want := "1000\n2000\nread-only\nSeccomp:2\nNoNewPrivs:1\nCapEff:0000000000000000\n"
	script := `id -u; id -g; touch /tmp/x 2>/dev/null || echo read-only
for key in Seccomp NoNewPrivs CapEff; do grep "^$key:" /proc/self/status | tr -d '\t'; done`
	if got := pod.exec(id, "sh", "-c", script); got != want {
		t.Errorf("inside the container: %q, want %q", got, want)
	}
}

func TestPodUpdate(t *testing.T) {
	ctx := begin(t)
	pod := startPod(t, node.Pod{Name: "update"})
	id := pod.start(node.Container{
		Name: "main", Args: []string{"probe", "pause"},
		Linux: map[string]any{"resources": map[string]any{"memory_limit_in_bytes": 64 << 20}},
	})
	// Version 1 and version 2 of cgroups name the file differently.
	limit := []string{"sh", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"}
	if got := pod.exec(id, limit...); got != "67108864\n" {
		t.Errorf("the memory limit inside is %q, want 67108864", got)
	}
	if _, err := shared.Crictl(ctx, "update", "--memory", "100663296", id); err != nil {
		t.Fatal(err)
	}
	if got := pod.exec(id, limit...); got != "100663296\n" {
		t.Errorf("the memory limit after the update is %q, want 100663296", got)
	}
	// More than a VM of the default size has.
	if _, err := shared.Crictl(ctx, "update", "--memory", "3221225472", id); err != nil {
		t.Fatal(err)
	}
	if got := pod.exec(id, limit...); got != "3221225472\n" {
		t.Errorf("the memory limit after the second update is %q, want 3221225472", got)
	}
	var kib int
	text := pod.exec(id, "sh", "-c", "grep MemTotal: /proc/meminfo")
	if _, err := fmt.Sscanf(text, "MemTotal: %d kB", &kib); err != nil || kib < 3<<20 {
		t.Errorf("after the update there are %d KiB of memory, error %v, less than the limit", kib, err)
	}
}

func TestPodOnSnapshotters(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("the handlers for other snapshotters are the kata shim's")
	}
	for handler, snapshotter := range node.Handlers() {
		t.Run(snapshotter, func(t *testing.T) {
			pod := startPod(t, node.Pod{Name: "snap-" + snapshotter, Handler: handler})
			id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
			if got := pod.exec(id, "sh", "-c", "echo kept >/file; cat /file; ls /bin/busybox"); got != "kept\n/bin/busybox\n" {
				t.Errorf("printed %q", got)
			}
			expectShare(t, pod.id, snapshotter == "overlayfs" || snapshotter == "native")
		})
	}
}

// expectShare looks for the step of a pod's timeline that makes a shared file system, which pods on disks do without.
func expectShare(t *testing.T, pod string, want bool) {
	t.Helper()
	timeline, err := shared.Timeline(pod)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.ContainsFunc(timeline.Steps, func(s node.Step) bool { return s.Name == "share" }); got != want {
		t.Errorf("the pod has a share: %v, its steps are %+v", got, timeline.Steps)
	}
}

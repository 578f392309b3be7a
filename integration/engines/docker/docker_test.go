// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
)

// What people do with docker works the same with the runtime.
func TestDocker(t *testing.T) {
	for _, version := range []string{"26", "28"} {
		t.Run(version, func(t *testing.T) {
			d := releases()[version].start(t)
			for _, row := range []struct {
				name string
				test func(*testing.T, *dockerd)
			}{
				{"published port", testPublished},
				{"options", testOptions},
				{"limits", testLimits},
				{"refused", testRefused},
				{"exit codes", testExitCodes},
				{"exec", testExec},
				{"files", testFiles},
				{"control", testControl},
				{"terminal", testTerminal},
				{"attach", testAttach},
				{"networks", testNetworks},
				{"names", testNames},
				{"restart policy", testRestartPolicy},
				{"restart of the daemon", testDaemonRestart},
			} {
				t.Run(row.name, func(t *testing.T) {
					t.Cleanup(func() { d.wantNothingLeft(t) }) // after those of the row
					row.test(t, d)
				})
			}
		})
	}
}

// up runs a container in the background, which goes with the test.
func (d *dockerd) up(t *testing.T, name string, args ...string) {
	t.Helper()
	t.Cleanup(func() { d.discard(t, name) })
	d.docker(t, append([]string{"run", "--detach", "--runtime", d.runtime, "--name", name}, args...)...)
}

// discard removes a container, if it is there.
func (d *dockerd) discard(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // the test's own has ended
	defer cancel()
	_, err := d.Runner().Run(ctx, d.programs+"/usr/bin/docker", "-H", d.host(), "rm", "--force", "--volumes", name)
	if err != nil && !strings.Contains(err.Error(), "No such container") {
		t.Error(err)
	}
}

// testPublished reaches a server through a published port, before and after a restart of the container, and removes it
// while it runs.
func testPublished(t *testing.T, d *dockerd) {
	d.up(t, "web", "--publish", "8088:80", image,
		"sh", "-c", "echo served >/index.html; echo to stdout; echo to stderr >&2; exec httpd -f -p 80 -h /")
	reach := func() {
		t.Helper()
		for _, address := range []string{"192.0.2.10", "127.0.0.1"} {
			engine.WaitFor(t, time.Minute, "the server at "+address, func() bool {
				return d.Try(t, "timeout", "5", "busybox", "wget", "-q", "-O", "-", "http://"+address+":8088/").Stdout == "served\n"
			})
		}
	}
	reach()
	if res := d.try(t, "logs", "web"); res.Stdout != "to stdout\n" || res.Stderr != "to stderr\n" {
		t.Errorf("docker logs gave %q and %q", res.Stdout, res.Stderr)
	}
	d.docker(t, "restart", "--time", "1", "web")
	reach()
	if got := d.docker(t, "logs", "web"); got != "to stdout\nto stdout\n" {
		t.Errorf("docker logs after a restart gave %q", got)
	}
	d.docker(t, "rm", "--force", "web")
	if res := d.Try(t, "timeout", "5", "busybox", "wget", "-q", "-O", "-", "http://192.0.2.10:8088/"); res.Code == 0 {
		t.Error("the port is published after the container was removed")
	}
}

// testOptions looks at what options of docker run make of a container.
func testOptions(t *testing.T, d *dockerd) {
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "in"), []byte("from the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hosts := func(out string) bool {
		return strings.Contains(out, "\n172.30.0.") && strings.HasSuffix(out, "me.example me\n")
	}
	for _, row := range []struct {
		name   string
		args   []string
		script string
		want   string
		holds  func(out string) bool
	}{
		{"plain", nil, "echo $0; id -u; hostname | wc -c", "sh\n0\n13\n", nil},
		{"user", []string{"--user", "1000:1001", "--group-add", "7"}, "id -u; id -g; id -G", "1000\n1001\n1001 7\n", nil},
		{"read-only", []string{"--read-only", "--tmpfs", "/t:size=1m,mode=700"},
			"touch /x 2>/dev/null || echo refused; touch /t/x && df -k /t | tail -1 | awk '{print $2}'; stat -c %a /t", "refused\n1024\n700\n", nil},
		{"capabilities", []string{"--cap-drop", "ALL", "--cap-add", "CHOWN"}, "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status",
			"CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t0000000000000001\n", nil},
		{"seccomp", nil, "grep Seccomp: /proc/self/status; unshare -U true 2>/dev/null || echo refused", "Seccomp:\t2\nrefused\n", nil},
		{"environment", []string{"--env", "A=one two", "--workdir", "/tmp/new", "--hostname", "h1", "--domainname", ""},
			"echo $A; pwd; hostname", "one two\n/tmp/new\nh1\n", nil},
		{"hosts", []string{"--hostname", "me.example", "--add-host", "other:10.9.8.7"}, "cat /etc/hosts", "", hosts},
		{"limits of the process", []string{"--ulimit", "nofile=100:200", "--ulimit", "core=0"}, "ulimit -Sn; ulimit -Hn; ulimit -c", "100\n200\n0\n", nil},
		{"sysctl", []string{"--sysctl", "net.ipv4.ip_unprivileged_port_start=77"}, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "77\n", nil},
		{"shm", []string{"--shm-size", "3m"}, "df -k /dev/shm | tail -1 | awk '{print $2}'", "3072\n", nil},
		{"no network", []string{"--network", "none"}, "ls /sys/class/net; ip route", "lo\n", nil},
		{"volumes", []string{"--volume", volume + ":/v", "--volume", volume + ":/r:ro", "--mount", "type=volume,target=/w"},
			"cat /v/in; echo back >/v/out; echo x 2>/dev/null >/r/x || echo refused; touch /w/y; ls /w", "from the host\nrefused\ny\n", nil},
		{"privileged", []string{"--privileged"}, "mkdir /m && mount -t tmpfs x /m && echo mounted; test -w /proc/sys && echo writable", "mounted\nwritable\n", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			res := d.run(t, append(row.args, image, "sh", "-c", row.script)...)
			if res.Code != 0 || row.holds == nil && res.Stdout != row.want || row.holds != nil && !row.holds(res.Stdout) {
				t.Errorf("code %d, printed %q, want %q: %s", res.Code, res.Stdout, row.want, res.Stderr)
			}
		})
	}
	if text, err := os.ReadFile(filepath.Join(volume, "out")); err != nil || string(text) != "back\n" {
		t.Errorf("the volume has %q from the container, %v", text, err)
	}
	// The runtime by its name in containerd, which daemon.json need not know.
	if d.runtime == named {
		if out := d.docker(t, "run", "--rm", "--runtime", engine.Kata, image, "echo", "by its type"); out != "by its type\n" {
			t.Errorf("with --runtime %s it printed %q", engine.Kata, out)
		}
	}
}

// testLimits looks at limits as the container sees them, given at first and changed later, and at statistics.
func testLimits(t *testing.T, d *dockerd) {
	d.up(t, "limited", "--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "33", image, "sleep", "1000")
	see := func(memory, cpu, pids string) {
		t.Helper()
		if d.runtime != named {
			return // the paths are those of cgroup version 2, which the guest has whatever the host has
		}
		want := memory + "\n" + cpu + "\n" + pids + "\n"
		got := d.docker(t, "exec", "limited", "sh", "-c", "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max")
		if got != want {
			t.Errorf("the limits are %q, want %q", got, want)
		}
	}
	see("67108864", "50000 100000", "33")
	stats := d.docker(t, "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "limited")
	if !strings.HasPrefix(stats, "limited ") || !strings.HasSuffix(stats, " / 64MiB 1\n") {
		t.Errorf("docker stats gave %q", stats)
	}
	d.docker(t, "update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.7", "--pids-limit", "44", "limited")
	see("100663296", "70000 100000", "44")
	res := d.run(t, "--memory", "32m", "--memory-swap", "32m", image, "sh", "-c", "head -c 100m /dev/zero | tail >/dev/null; echo $?; exec tail /dev/zero")
	if res.Code != 137 {
		t.Errorf("a container that needs more memory than it has ended with %d: %s", res.Code, res.Stderr)
	}
}

// testRefused asks for what a VM cannot do. The words say what to do instead.
func testRefused(t *testing.T, d *dockerd) {
	if d.runtime != named {
		t.Skip("runc can do all of it")
	}
	d.up(t, "first", "--ipc", "shareable", image, "sleep", "1000")
	for _, row := range []struct {
		args  []string
		words []string
	}{
		{[]string{"--pid", "container:first"}, []string{"another container's", "one pod"}},
		{[]string{"--ipc", "container:first"}, []string{"another container's", "one pod"}},
		{[]string{"--network", "container:first"}, []string{"another VM", "docker network create"}},
		{[]string{"--network", "host"}, []string{"host's network", "docker run -p"}},
		{[]string{"--pid", "host"}, []string{"host's processes", "without --pid=host"}},
		{[]string{"--ipc", "host"}, []string{"host's IPC", "without --ipc=host"}},
		{[]string{"--uts", "host"}, []string{"UTS", "--hostname"}},
		{[]string{"--device", "/dev/loop-control"}, []string{"/dev/loop-control", "device of the host"}},
	} {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			res := d.run(t, append(row.args, image, "true")...)
			if res.Code != 125 {
				t.Errorf("it ended with code %d, want 125, that of an error of Docker", res.Code)
			}
			for _, word := range row.words {
				if !strings.Contains(res.Stderr, word) {
					t.Errorf("it said %q, and nothing of %q", res.Stderr, word)
				}
			}
		})
	}
}

// testExitCodes compares codes with those everybody knows.
func testExitCodes(t *testing.T, d *dockerd) {
	for _, row := range []struct {
		code int
		args []string
	}{
		{0, []string{"true"}},
		{42, []string{"sh", "-c", "exit 42"}},
		{127, []string{"nosuch"}},
		{127, []string{"/nosuch"}},
		{126, []string{"/etc/passwd"}},
	} {
		t.Run(fmt.Sprint(row.args), func(t *testing.T) {
			if res := d.run(t, append([]string{image}, row.args...)...); res.Code != row.code {
				t.Errorf("code %d, want %d: %s", res.Code, row.code, res.Stderr)
			}
		})
	}
}

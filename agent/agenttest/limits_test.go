// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/agent/sandboxns"
	"github.com/katapod/katapod/protocols/agentpb"
)

func testLimits(t *testing.T, g *guestUser) {
	id := g.name()
	s := spec(id, "cd /sys/fs/cgroup; cat pids.max memory.max cpu.weight cpuset.cpus; mknod /tmp/d b 254 0; cat /tmp/d | wc -c; echo x > /dev/null && echo null; mkdir /tmp/x; chmod 777 /tmp && echo chmod")
	s.Process.Capabilities.Bounding = append(s.Process.Capabilities.Bounding, "CAP_MKNOD")
	s.Process.Capabilities.Effective, s.Process.Capabilities.Permitted = s.Process.Capabilities.Bounding, s.Process.Capabilities.Bounding
	s.Linux.Resources.CPU.Cpus = "0"
	s.Linux.Seccomp = &agentpb.LinuxSeccomp{
		DefaultAction: "SCMP_ACT_ALLOW", Architectures: []string{"SCMP_ARCH_X86_64"},
		Syscalls: []*agentpb.LinuxSyscall{{Names: []string{"mkdir", "mkdirat"}, Action: "SCMP_ACT_ERRNO", ErrnoRet: &agentpb.LinuxSyscall_Errnoret{Errnoret: 28}}},
	}
	p := g.create(t, id, s)
	g.start(t, p)
	out, errs := read(t, p.stdout), read(t, p.errs)
	if want := "100\n67108864\n20\n0\n0\nnull\nchmod\n"; out != want {
		t.Errorf("output %q, want %q", out, want)
	}
	for _, want := range []string{"'/tmp/d': Operation not permitted", "mkdir: can't create directory '/tmp/x': No space left on device"} {
		if !strings.Contains(errs, want) {
			t.Errorf("errors %q lack %q", errs, want)
		}
	}
	g.wait(t, p)
}

func testPauseUpdateStats(t *testing.T, g *guestUser) {
	p := g.run(t, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done")
	readLine(t, p.stdout)
	if _, err := g.agent.PauseContainer(g.ctx, &agentpb.PauseContainerRequest{ContainerId: p.id}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.agent.ExecProcess(g.ctx, &agentpb.ExecProcessRequest{ContainerId: p.id, ExecId: "e", Process: &agentpb.Process{Args: []string{"true"}}}); code(err) != failedPrecondition {
		t.Errorf("exec in a paused container: %v", err)
	}
	// What it said before comes; then there is silence.
	for deadline := time.Now().Add(patience); ; {
		_ = p.stdout.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := p.stdout.Read(make([]byte, 64)); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a paused container goes on")
		}
	}
	if _, err := g.agent.ResumeContainer(g.ctx, &agentpb.ResumeContainerRequest{ContainerId: p.id}); err != nil {
		t.Fatal(err)
	}
	readLine(t, p.stdout)

	if _, err := g.agent.UpdateContainer(g.ctx, &agentpb.UpdateContainerRequest{ContainerId: p.id, Resources: &agentpb.LinuxResources{
		Memory: &agentpb.LinuxMemory{Limit: 96 << 20}, Pids: &agentpb.LinuxPids{Limit: 55},
		CPU: &agentpb.LinuxCPU{Shares: 1024, Quota: 50000, Period: 100000, Cpus: "1"},
	}}); err != nil {
		t.Fatal(err)
	}
	if out := g.output(t, p, nil, "cd /sys/fs/cgroup; cat pids.max memory.max cpu.weight cpu.max cpuset.cpus"); out != "55\n100663296\n39\n50000 100000\n1\n" {
		t.Errorf("limits after the update %q", out)
	}
	stats, err := g.agent.StatsContainer(g.ctx, &agentpb.StatsContainerRequest{ContainerId: p.id})
	if err != nil {
		t.Fatal(err)
	}
	c := stats.CgroupStats
	if u := c.CpuStats.CpuUsage; u.TotalUsage < 1e6 || u.TotalUsage < u.UsageInUsermode {
		t.Errorf("CPU %v", u)
	}
	if m := c.MemoryStats.Usage; m.Limit != 96<<20 || m.Usage == 0 || m.MaxUsage < m.Usage {
		t.Errorf("memory %v", m)
	}
	if p := c.PidsStats; p.Limit != 55 || p.Current == 0 {
		t.Errorf("pids %v", p)
	}
	if n := stats.NetworkStats; len(n) != 1 || n[0].Name != "eth0" {
		t.Errorf("network %v", n)
	}
}

func testOOM(t *testing.T, g *guestUser) {
	id := g.name()
	s := spec(id, "for i in 1 2; do sh -c 'tail /dev/zero'; done; tail /dev/zero & wait $!; exec tail /dev/zero")
	s.Linux.Resources.Memory = &agentpb.LinuxMemory{Limit: 16 << 20, Swap: 16 << 20}
	p := g.create(t, id, s)
	g.start(t, p)
	if status := g.wait(t, p); status != 137 {
		t.Errorf("exit code %d", status)
	}
	for i := range 4 {
		r, err := g.agent.GetOOMEvent(g.ctx, &agentpb.GetOOMEventRequest{})
		if err != nil || r.ContainerId != id {
			t.Fatalf("OOM event %d: %v %v", i, r, err)
		}
	}
}

func testNamespaces(t *testing.T, g *guestUser) {
	const show = "for n in ipc uts net pid mnt cgroup; do readlink /proc/self/ns/$n; done"
	a, b := g.run(t, "echo shared > /dev/shm/x; echo written; sleep 1000"), g.run(t, "sleep 1000")
	readLine(t, a.stdout)
	outA, outB := strings.Fields(g.output(t, a, nil, show)), strings.Fields(g.output(t, b, nil, show+"; cat /dev/shm/x; cat /proc/1/cgroup"))
	if len(outA) != 6 || len(outB) != 8 {
		t.Fatalf("namespaces %q %q", outA, outB)
	}
	for i, ns := range outA {
		if shared := i < 3; (ns == outB[i]) != shared {
			t.Errorf("namespace %s and %s: shared should be %v", ns, outB[i], shared)
		}
	}
	if outB[6] != "shared" || outB[7] != "0::/" {
		t.Errorf("shared memory and cgroup %q", outB[6:])
	}

	id := g.name()
	s := spec(id, "echo $$; cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c -x '["+sandboxns.AnchorArgument[:1]+"]"+sandboxns.AnchorArgument[1:]+"'; sleep 1000")
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "81", "kernel.shmmni": "1234"}
	r := &agentpb.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: s, Storages: []*agentpb.Storage{overlay(id)}, SandboxPidns: true}
	p := &process{id: id, exec: id}
	r.StdoutPort, p.stdout = g.stream(g.ctx, t)
	r.StderrPort, p.errs = g.stream(g.ctx, t)
	if _, err := g.agent.CreateContainer(g.ctx, r); err != nil {
		t.Fatal(err)
	}
	g.removeLater(t, id)
	g.start(t, p)
	if pid := readLine(t, p.stdout); pid == "1" {
		t.Error("the container is PID 1 in the pod's PID namespace")
	}
	if anchors := readLine(t, p.stdout); anchors != "1" {
		t.Errorf("%s anchors", anchors)
	}
	if out := g.output(t, b, nil, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni"); out != "81\n1234\n" {
		t.Errorf("kernel parameters %q", out)
	}
	e := g.exec(t, p, nil, "/bin/sleep", "1000")
	g.signal(t, p, 9)
	if status := g.wait(t, e); status != 137 {
		t.Errorf("exec after the end of its container in a shared PID namespace: %d", status)
	}
}

func testParallel(t *testing.T, g *guestUser) {
	var all []*process
	for range 4 {
		id := g.name()
		all = append(all, g.create(t, id, spec(id, "echo "+id)))
	}
	t.Run("start", func(t *testing.T) {
		for _, p := range all {
			t.Run(p.id, func(t *testing.T) {
				t.Parallel()
				g.start(t, p)
				if out := read(t, p.stdout); out != p.id+"\n" {
					t.Errorf("output %q", out)
				}
				if status := g.wait(t, p); status != 0 {
					t.Errorf("exit code %d", status)
				}
			})
		}
	})
}

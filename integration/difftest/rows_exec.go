// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/containerd/containerd/v2/client"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// waiting is a first process that waits to be ended.
const waiting = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"

// beside runs execs beside a waiting first process.
func beside(about, name string, change func(*specs.Spec), do func(*session)) row {
	return row{about: about, name: name, change: change, script: waiting, do: func(p *session) {
		p.start()
		p.expect("ready")
		do(p)
		p.kill(syscall.SIGTERM)
		p.wait()
	}}
}

// as makes an exec of the words, whose description is changed.
func as(words []string, change func(*specs.Process)) func(*session) {
	return func(p *session) {
		p.exec("", func(process *specs.Process) {
			process.Args = words
			change(process)
		})
	}
}

// same changes nothing.
func same(*specs.Process) {}

// execRows are about processes that join a container.
func execRows() []row {
	var all []row
	for _, part := range [][]row{execUserRows(), execStartRows(), execLifeRows(), execStateRows()} {
		all = append(all, part...)
	}
	return all
}

// execUserRows are about who the process is and what it may do.
func execUserRows() []row {
	see := []string{"/bin/probe", "see", "user", "capabilities", "security", "process", "streams"}
	return []row{
		beside("exec", "exec: exit code and streams", nil, as([]string{"sh", "-c", "echo out; echo err >&2; exit 17"}, same)),
		beside("exec", "exec: what the process sees of itself", nil, as(see, same)),
		beside("exec", "exec: signals it starts with", nil, as([]string{"grep", "-E", "^(Sig|Shd)(Blk|Ign|Cgt)", "/proc/self/status"}, same)),
		beside("exec", "exec: user and groups", nil, as(see[:3], func(process *specs.Process) {
			process.User = specs.User{UID: 12, GID: 34, AdditionalGids: []uint32{56, 78}}
		})),
		beside("exec", "exec: root in a container of a user", asUser(1000), as(see[:4], func(process *specs.Process) { process.User = specs.User{} })),
		beside("exec", "exec: capabilities", nil, as(see[:4], func(process *specs.Process) {
			few := []string{"CAP_KILL", "CAP_CHOWN"}
			process.Capabilities = &specs.LinuxCapabilities{Bounding: few, Effective: few[:1], Permitted: few, Inheritable: few[:1]}
		})),
		beside("exec", "exec: no capabilities given", nil, as(see[:4], func(process *specs.Process) { process.Capabilities = nil })),
		beside("exec", "exec: no new privileges", nil, as([]string{"sh", "-c", raise}, func(process *specs.Process) { process.NoNewPrivileges = true })),
		beside("exec", "exec: the container's seccomp profile", nil, as(forbidden(), same)),
	}
}

// execStartRows are about what else the process is started with.
func execStartRows() []row {
	return []row{
		beside("exec", "exec: rlimits", nil, as([]string{"grep", "-E", "open files|core file", "/proc/self/limits"}, func(process *specs.Process) {
			process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 33, Hard: 44}, {Type: "RLIMIT_CORE", Soft: 1, Hard: 2}}
		})),
		beside("exec", "exec: rlimits of the container", rlimit("RLIMIT_NOFILE", 55, 66), as([]string{"grep", "open files", "/proc/self/limits"}, same)),
		beside("exec", "exec: working directory", nil, as([]string{"pwd"}, func(process *specs.Process) { process.Cwd = "/tmp" })),
		beside("exec", "exec: working directory that is not there", nil, as([]string{"pwd"}, func(process *specs.Process) { process.Cwd = "/made/up" })),
		beside("exec", "exec: environment", nil, as([]string{"env"}, func(process *specs.Process) { process.Env = []string{"PATH=/bin", "ONLY=this"} })),
		beside("exec", "exec: oom_score_adj", nil, as([]string{"cat", "/proc/self/oom_score_adj"}, func(process *specs.Process) { process.OOMScoreAdj = pointer(650) })),
		beside("exec", "exec: oom_score_adj of the container", oomScore(640), as([]string{"cat", "/proc/self/oom_score_adj"}, func(process *specs.Process) { process.OOMScoreAdj = nil })),
		beside("exec", "exec: a command that does not exist", nil, as([]string{"nonesuch"}, same)),
		beside("exec", "exec: a file that cannot be executed", nil, as([]string{"/etc/passwd"}, same)),
		beside("exec", "exec: the container's namespaces and mounts", nil, as([]string{"sh", "-c", "for n in cgroup ipc mnt net pid user uts; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] && echo same $n; done; hostname; cmp /proc/self/cgroup /proc/1/cgroup && echo same cgroup"}, same)),
		beside("exec", "exec: umask", nil, as([]string{"sh", "-c", "umask"}, same)),
	}
}

// execLifeRows are about the process's streams, signals and surroundings.
func execLifeRows() []row {
	return []row{
		beside("exec", "exec: terminal", nil, func(p *session) {
			p.exec("", func(process *specs.Process) {
				process.Terminal, process.ConsoleSize = true, &specs.Box{Width: 99, Height: 44}
				process.Args = []string{"sh", "-c", "stty size; tty; probe see streams"}
			})
		}),
		beside("exec", "exec: standard input", nil, func(p *session) {
			p.exec("one\ntwo\n", func(process *specs.Process) { process.Args = []string{"sh", "-c", "cat; echo $?"} })
		}),
		beside("exec", "exec: signals reach it alone", nil, func(p *session) {
			e := p.launch("", func(process *specs.Process) {
				process.Args = []string{"sh", "-c", "trap 'echo got usr2; exit 21' USR2; echo ready; while :; do sleep 0.1; done"}
			})
			e.expect("ready")
			e.kill(syscall.SIGUSR2)
			e.wait()
		}),
		beside("exec", "exec: ended by SIGTERM, by default", nil, func(p *session) {
			e := p.launch("", func(process *specs.Process) { process.Args = []string{"sh", "-c", "echo ready; exec sleep 1000"} })
			e.expect("ready")
			e.kill(syscall.SIGTERM)
			e.wait()
		}),
		beside("exec", "exec: its children go on without it", nil, func(p *session) {
			p.run("sh", "-c", "(sleep 0.3; echo later >/tmp/later) >/dev/null 2>&1 & exit 0")
			p.run("sh", "-c", "until [ -s /tmp/later ]; do sleep 0.05; done; cat /tmp/later")
		}),
		beside("exec", "exec: many at once", nil, func(p *session) {
			var all []*execution
			for i := range 8 {
				all = append(all, p.launch("", func(process *specs.Process) {
					process.Args = []string{"sh", "-c", fmt.Sprintf("sleep 0.1; echo %d; exit %d", i, i)}
				}))
			}
			for _, e := range all {
				e.wait()
			}
		}),
		beside("exec", "exec: in a container with a read-only root", func(s *specs.Spec) { s.Root.Readonly = true }, as([]string{"/bin/probe", "try", "create:/x"}, same)),
		beside("exec", "exec: in the control group of the container", func(s *specs.Spec) {
			s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer(int64(32 << 20))}
		}, as([]string{"probe", "eat", "100000000"}, same)),
	}
}

// execStateRows are about the states of the container.
func execStateRows() []row {
	return []row{
		{about: "exec", name: "exec: in a paused container", script: waiting, do: func(p *session) {
			p.start()
			p.expect("ready")
			p.ask("pause", func(ctx context.Context) error { return p.task.Pause(ctx) })
			p.run("echo", "never")
			p.ask("resume", func(ctx context.Context) error { return p.task.Resume(ctx) })
			p.kill(syscall.SIGTERM)
			p.wait()
		}},
		{about: "exec", name: "exec: before the start", script: "echo first", do: func(p *session) {
			p.create()
			p.run("echo", "second")
			p.start()
			p.wait()
		}},
		{about: "exec", name: "exec: after the end", script: "echo first", do: func(p *session) {
			p.start()
			if !p.done() {
				<-p.exit
				p.run("echo", "second")
			}
		}},
		{about: "cgroup", name: "limits changed while it runs", script: waiting, do: func(p *session) {
			p.start()
			p.expect("ready")
			p.ask("update", func(ctx context.Context) error {
				return p.task.Update(ctx, client.WithResources(&specs.LinuxResources{
					Memory: &specs.LinuxMemory{Limit: pointer(int64(80 << 20))},
					Pids:   &specs.LinuxPids{Limit: pointer(int64(44))},
					CPU:    &specs.LinuxCPU{Quota: pointer(int64(30000)), Period: pointer(uint64(60000))},
				}))
			})
			p.run("sh", "-c", "probe see limits | grep -vE 'cpus|nodes'")
			p.kill(syscall.SIGTERM)
			p.wait()
		}},
	}
}

// kill sends the exec a signal and records the answer.
func (e *execution) kill(signal syscall.Signal) {
	if e != nil && !e.of.done() {
		e.of.log.answer(fmt.Sprint("signal ", int(signal)), e.process.Kill(e.of.ctx, signal))
	}
}

// state records the task's state as containerd knows it.
func (p *session) state() {
	if p.done() {
		return
	}
	status, err := p.task.Status(p.ctx)
	p.fail(err)
	p.log.say("state: %s", strings.ToLower(string(status.Status)))
}

func number(n int) string { return strconv.Itoa(n) }

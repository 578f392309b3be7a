// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"syscall"

	"github.com/containerd/containerd/v2/client"
)

// signalRows are about signals that containerd sends.
func signalRows() []row {
	const state = "grep State /proc/1/status"
	handled := "trap 'echo got usr1; exit 11' USR1; echo ready; while :; do sleep 0.1; done"
	rows := []row{
		{about: "signals", name: "signals: what the process starts with", change: args("grep", "-E", "^(Sig|Shd)(Blk|Ign|Cgt)", "/proc/self/status")},
		{about: "signals", name: "signal handled", script: handled, do: killAfter("ready", syscall.SIGUSR1)},
		{about: "signals", name: "signal that ends the process: SIGKILL", script: handled, do: killAfter("ready", syscall.SIGKILL)},
		{about: "signals", name: "signal by default, of the first process", script: "echo ready; exec sleep 1000", do: killAfter("ready", syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL)},
		{about: "signals", name: "signal ignored", script: "trap '' TERM INT; trap 'exit 3' USR1; echo ready; while :; do sleep 0.1; done", do: killAfter("ready", syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)},
		{about: "signals", name: "signal of real time", script: "trap 'echo got 37; exit 37' 37; echo ready; while :; do sleep 0.1; done", do: killAfter("ready", syscall.Signal(37))},
		{about: "signals", name: "signals of every kind, counted", script: "for s in 1 2 3 10 12 13 14 15 20 21 22 28 30; do trap \"echo got $s\" $s; done; echo ready; n=0; while :; do sleep 0.05; done", do: func(p *session) {
			p.start()
			p.expect("ready")
			for _, s := range []syscall.Signal{1, 2, 3, 10, 12, 13, 14, 15, 20, 21, 22, 28, 30} {
				p.kill(s)
				p.expect("got " + number(int(s)) + "\n")
			}
			p.kill(syscall.SIGKILL)
			p.wait()
		}},
		{about: "signals", name: "signal that does not exist", script: handled, do: killAfter("ready", syscall.Signal(99), syscall.SIGUSR1)},
		{about: "signals", name: "signal to every process", script: "trap 'sleep 0.5; echo parent; exit 9' TERM; sh -c \"trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.1; done\" & while :; do sleep 0.1; done", do: func(p *session) {
			p.start()
			p.expect("ready")
			p.kill(syscall.SIGTERM, client.WithKillAll)
			p.wait()
		}},
		{about: "signals", name: "signal to the first process alone", script: "trap 'sleep 0.5; echo parent; exit 9' TERM; sh -c \"trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.1; done\" & while :; do sleep 0.1; done", do: killAfter("ready", syscall.SIGTERM)},
		{about: "signals", name: "signal to a process group, from inside", script: "setsid sh -c 'trap \"echo one; exit 4\" TERM; echo ready >/tmp/r; while :; do :; done' & p=$!; until [ -s /tmp/r ]; do sleep 0.1; done; kill -TERM -$p; wait $p; echo $?"},
		{about: "signals", name: "signal that stops, and one that continues", script: "trap 'echo got term; exit 12' TERM; echo ready; while :; do read -t 1 x </dev/zero; done", do: func(p *session) {
			p.start()
			p.expect("ready")
			p.kill(syscall.SIGSTOP)
			p.run("sh", "-c", "until grep -q stopped /proc/1/status; do :; done; "+state)
			p.kill(syscall.SIGTERM)
			p.run("sh", "-c", state)
			p.kill(syscall.SIGCONT)
			p.wait()
		}},
		{about: "signals", name: "a child that a signal ends, by default", script: "sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -QUIT $$' 2>/dev/null; echo $?; sh -c 'kill -PIPE $$'; echo $?"},
	}
	return append(rows, stateRows()...)
}

// stateRows are about the states of a task, and calls that do not suit them.
func stateRows() []row {
	return []row{
		{about: "signals", name: "signal before the start", script: "echo started", do: func(p *session) {
			p.create()
			p.kill(syscall.SIGKILL)
			p.wait()
		}},
		{about: "signals", name: "signal after the end", script: "exit 1", do: func(p *session) {
			p.start()
			if !p.done() {
				status := <-p.exit
				p.log.say("exit %d", status.ExitCode())
				p.kill(syscall.SIGTERM)
			}
		}},
		{about: "signals", name: "paused and resumed", script: "trap 'exit 13' TERM; echo ready; while :; do sleep 0.1; done", do: func(p *session) {
			p.start()
			p.expect("ready")
			p.ask("pause", func(ctx context.Context) error { return p.task.Pause(ctx) })
			p.state()
			p.ask("resume", func(ctx context.Context) error { return p.task.Resume(ctx) })
			p.state()
			p.kill(syscall.SIGTERM)
			p.wait()
		}},
		{about: "signals", name: "states of a task", script: "sleep 0.3; exit 2", do: func(p *session) {
			p.create()
			p.state()
			p.start()
			p.state()
			p.ask("start again", func(ctx context.Context) error { return p.task.Start(ctx) })
			p.ask("delete", func(ctx context.Context) error { _, err := p.task.Delete(ctx); return err })
			if !p.done() {
				<-p.exit
				p.state()
			}
		}},
	}
}

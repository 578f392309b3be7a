// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// streamRows are about standard streams without a terminal.
func streamRows() []row {
	return []row{
		{about: "streams", name: "streams: what the process has", change: args("/bin/probe", "see", "streams")},
		{about: "streams", name: "streams: with standard input", stdin: "x", change: args("/bin/probe", "see", "streams")},
		{about: "streams", name: "streams: opened again by a user", change: with(asUser(1000), args("/bin/probe", "see", "streams"))},
		{about: "streams", name: "streams: a user writes to /dev/stdout", change: asUser(1000), script: "echo out >/dev/stdout; echo err >/dev/stderr"},
		{about: "streams", name: "streams: output and errors apart", script: "echo one; echo two >&2; printf 'no end'; printf 'no end either' >&2; exit 2"},
		{about: "streams", name: "streams: none for input", script: "cat; echo $?; readlink /proc/self/fd/0"},
		{about: "streams", name: "streams: input to its end", stdin: "first\nsecond\nno end", script: "cat; echo; echo $?"},
		{about: "streams", name: "streams: all bytes", stdin: everyByte(), script: "od -An -v -tx1"},
		{about: "streams", name: "streams: a megabyte through", stdin: strings.Repeat("0123456789abcde\n", 1<<16), script: "cat >/tmp/all; cat /tmp/all; sha256sum /tmp/all >&2"},
		{about: "streams", name: "streams: input that is not read", stdin: strings.Repeat("x", 100000), script: "echo ended"},
		{about: "streams", name: "streams: input in pieces", stdin: keepOpen, script: "read a; echo got $a; read b; echo got $b; cat; echo end", do: func(p *session) {
			p.start()
			p.typing("one\n")
			p.expect("got one\n")
			p.typing("two\nrest\n")
			p.expect("rest\n")
			p.endStdin()
			p.wait()
		}},
		{about: "streams", name: "streams: closed by the process", script: "exec >&- 2>&- <&-; sleep 0.2; exit 5"},
		{about: "streams", name: "streams: output of a child that outlives its parent's", script: "(sleep 0.3; echo late) & wait; echo done"},
	}
}

func everyByte() string {
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	return all.String()
}

// onTerminal gives the process a terminal of that size.
func onTerminal(columns, lines uint) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Process.ConsoleSize = &specs.Box{Width: columns, Height: lines}
	}
}

// terminalRows are about terminals.
func terminalRows() []row {
	typing := func(words ...string) func(*session) {
		return func(p *session) {
			p.start()
			for i, word := range words {
				if i%2 == 0 {
					p.expect(word)
				} else {
					p.typing(word)
				}
			}
			p.wait()
		}
	}
	return []row{
		{about: "tty", name: "terminal: size", change: onTerminal(132, 43), script: "stty size; tty"},
		{about: "tty", name: "terminal: no size given", change: func(s *specs.Spec) { s.Process.Terminal = true }, script: "stty size"},
		{about: "tty", name: "terminal: settings", change: onTerminal(80, 24), script: "stty -a"},
		{about: "tty", name: "terminal: descriptors", change: with(onTerminal(80, 24), args("/bin/probe", "see", "streams", "process"))},
		{about: "tty", name: "terminal: of a user", change: with(onTerminal(80, 24), asUser(1000)), script: "probe see streams; echo hi >/dev/tty; probe list /dev/pts"},
		{about: "tty", name: "terminal: what is typed", change: onTerminal(80, 24), stdin: keepOpen, script: "read line; echo got $line; exit 6", do: typing("", "typed\n")},
		{about: "tty", name: "terminal: the end of input by Ctrl-D", change: onTerminal(80, 24), stdin: keepOpen, script: "echo ready; cat; echo ended", do: typing("ready", "\x04")},
		{about: "tty", name: "terminal: Ctrl-C interrupts", change: onTerminal(80, 24), stdin: keepOpen, script: "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.1; done", do: typing("ready\r\n", "\x03")}, // it throws away what the terminal has not written
		{about: "tty", name: "terminal: resized", change: onTerminal(80, 24), script: "trap 'stty size; exit 8' WINCH; echo ready; while :; do sleep 0.1; done", do: func(p *session) {
			p.start()
			p.expect("ready")
			p.ask("resize", func(ctx context.Context) error { return p.task.Resize(ctx, 101, 37) })
			p.wait()
		}},
		{about: "tty", name: "terminal: resized before the start", change: onTerminal(80, 24), script: "stty size", do: func(p *session) {
			p.create()
			p.ask("resize", func(ctx context.Context) error { return p.task.Resize(ctx, 90, 31) })
			p.start()
			p.wait()
		}},
		{about: "tty", name: "terminal: raw bytes", change: onTerminal(80, 24), script: `stty raw; printf 'a\nb\r\nc\td\033[31m\000e'`},
		{about: "tty", name: "resize without a terminal", script: "sleep 0.5", do: func(p *session) {
			p.start()
			p.ask("resize", func(ctx context.Context) error { return p.task.Resize(ctx, 90, 31) })
			p.wait()
		}},
	}
}

// killAfter starts the container, waits until it printed the text, sends the signals, and waits for its end.
func killAfter(text string, signals ...syscall.Signal) func(*session) {
	return func(p *session) {
		p.start()
		p.expect(text)
		for _, s := range signals {
			p.kill(s)
		}
		p.wait()
	}
}

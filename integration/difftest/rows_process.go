// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/opencontainers/runtime-spec/specs-go"
)

// processRows are about what the process is started with.
func processRows() []row {
	rows := []row{
		{about: "exit", name: "exit code 0", change: args("true")},
		{about: "exit", name: "exit code 3", script: "exit 3"},
		{about: "exit", name: "exit code 255", script: "exit 255"},
		{about: "exit", name: "exit code of a child that a signal ended", script: `sh -c 'kill -SEGV $$'; exit $?`},
		{about: "exit", name: "children end with the first process", script: "sleep 1000 & sleep 1000 & echo started; exit 4"},
		{about: "exit", name: "the end comes while files are read", script: "cat /bin/probe /bin/busybox >/dev/null & cat /bin/busybox /bin/probe >/dev/null & exit 6"},
		{about: "exit", name: "a command that does not exist", change: args("nonesuch"), refuses: true},
		{about: "exit", name: "a path that does not exist", change: args("/none/such"), refuses: true},
		{about: "exit", name: "a file that cannot be executed", change: args("/etc/passwd"), refuses: true},
		{about: "exit", name: "a directory as the command", change: args("/etc"), refuses: true},
		{about: "exit", name: "no command at all", change: args(), refuses: true},
		{about: "environment", name: "environment", change: with(args("env"), environment("COLOUR=blue", "EMPTY=", "SPACES=a b  c", "UTF8=ü€", "TWICE=1", "TWICE=2", "EQUALS=a=b"))},
		{about: "environment", name: "environment: empty", change: func(s *specs.Spec) {
			s.Process.Env, s.Process.Args = nil, []string{"/bin/busybox", "env"}
		}},
		{about: "environment", name: "environment: the home of a user without HOME", change: asUser(65534), script: "echo $HOME; cat /proc/self/environ | tr '\\0' '\\n' | sort"},
		{about: "environment", name: "environment: the home of a user without an account", change: asUser(4242), script: "echo $HOME"},
		{about: "environment", name: "environment: PATH finds the command", change: func(s *specs.Spec) {
			s.Process.Env, s.Process.Args = []string{"PATH=/none:/bin"}, []string{"echo", "found"}
		}},
		{about: "exit", name: "arguments", change: args("sh", "-c", `for a; do echo "<$a>"; done`, "zero", "", "two words", "$HOME", "new\nline", "ü€", "--")},
		{about: "cwd", name: "working directory", change: cwd("/tmp"), script: "pwd; readlink /proc/self/cwd"},
		{about: "cwd", name: "working directory that the image lacks", change: cwd("/made/up"), script: "pwd; ls -ld /made /made/up | cut -c1-10"},
		{about: "cwd", name: "working directory that the user may not enter", change: with(asUser(1000), cwd("/root")), script: "pwd", refuses: true},
		{about: "cwd", name: "command relative to the working directory", change: with(cwd("/bin"), args("./echo", "here"))},
		{about: "proc", name: "process attributes", change: args("/bin/probe", "see", "process")},
		{about: "proc", name: "processes in /proc", script: "sleep 1000 & until ps | grep -q '[s]leep 1000'; do :; done; exec ps -o ppid,pgid"},
		{about: "proc", name: "/proc/self of the first process", change: args("cat", "/proc/self/cmdline", "/proc/self/comm", "/proc/self/oom_adj", "/proc/self/setgroups")},
		{about: "oom_score_adj", name: "oom_score_adj", change: oomScore(789), script: "cat /proc/self/oom_score_adj; sh -c 'cat /proc/self/oom_score_adj'"},
		{about: "oom_score_adj", name: "oom_score_adj: the highest", change: oomScore(1000), script: "cat /proc/self/oom_score_adj"},
		{about: "umask", name: "umask", script: "umask; touch /tmp/f; mkdir /tmp/d; ls -ld /tmp/f /tmp/d | cut -c1-10"},
		{about: "umask", name: "umask of the spec", change: func(s *specs.Spec) { s.Process.User.Umask = pointer(uint32(0o077)) }, script: "umask; touch /tmp/f; ls -l /tmp/f | cut -c1-10"},
		{about: "proc", name: "personality of 32 bits", change: func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} }, script: "uname -m; cat /proc/self/personality"},
		{about: "proc", name: "scheduling class", change: func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}
		}, script: "probe see process | grep -E '^nice'"},
		{about: "proc", name: "io priority", change: func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}
		}, script: "probe see process | grep '^io'"},
	}
	return append(rows, limitsOfProcesses()...)
}

func limitsOfProcesses() []row {
	const show = "cat /proc/self/limits"
	return []row{
		{about: "rlimits", name: "rlimits", script: show, change: func(s *specs.Spec) {
			// As many as a process without privileges may set: lower than everybody's.
			for kind, soft := range map[string]uint64{
				"RLIMIT_AS": 1 << 33, "RLIMIT_CORE": 0, "RLIMIT_CPU": 1000, "RLIMIT_DATA": 1 << 32, "RLIMIT_FSIZE": 1 << 31,
				"RLIMIT_LOCKS": 500, "RLIMIT_MEMLOCK": 65536, "RLIMIT_MSGQUEUE": 4096, "RLIMIT_NICE": 0,
				"RLIMIT_NOFILE": 512, "RLIMIT_NPROC": 300, "RLIMIT_RSS": 1 << 30, "RLIMIT_RTPRIO": 0,
				"RLIMIT_RTTIME": 100000, "RLIMIT_SIGPENDING": 200, "RLIMIT_STACK": 4 << 20,
			} {
				s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: kind, Soft: soft, Hard: soft + soft/2})
			}
		}},
		{about: "rlimits", name: "rlimits that nobody set", script: show},
		{about: "rlimits", name: "rlimit of open files, in effect", change: rlimit("RLIMIT_NOFILE", 64, 80), script: "ulimit -n; ulimit -Hn; ulimit -Sn 80 && ulimit -n; ulimit -n 90 2>/dev/null || echo refused"},
		{about: "rlimits", name: "rlimit of the size of files, in effect", change: rlimit("RLIMIT_FSIZE", 1<<20, 1<<20), script: "dd if=/dev/zero of=/tmp/f bs=1k count=2000 2>/dev/null; echo $?; stat -c %s /tmp/f"},
	}
}

func environment(variables ...string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Process.Env = append(s.Process.Env, variables...) }
}

func cwd(path string) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.Cwd = path } }

func oomScore(score int) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Process.OOMScoreAdj = &score }
}

func rlimit(kind string, soft, hard uint64) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: kind, Soft: soft, Hard: hard})
	}
}

// SPDX-License-Identifier: Apache-2.0

package timeouts

import "time"

// What the shim waits for beside the guest.
const (
	// Execs bounds how long the end of a container is held back for those of its
	// execs, whose output may still be on its way to a slow reader.
	Execs = 2 * time.Second
	// OOM is how long an exit that looks like an out-of-memory kill is held back until
	// the guest tells of one. Engines ask for the kill as soon as they hear of the
	// exit, and the guest tells of both by different ways.
	OOM = 300 * time.Millisecond
	// QuietGuest is how long the guest may be silent after its process ended before
	// its output counts as complete. Output ends by itself, also when a child of the
	// process holds it open: the agent sees that nothing is left, which the host cannot
	// tell from a guest that is slow. So this only bounds a guest that hangs, and is
	// long.
	QuietGuest = 30 * time.Second
	// SlowGuest is how long the guest is waited for in all after its process ended. A
	// guest that always has another byte would hold the exit of its process back for
	// ever, and the pod in Terminating.
	SlowGuest = 60 * time.Second
	// StuckReader is how long the engine may read nothing of a process that has ended
	// before its exit is reported nevertheless.
	StuckReader = 10 * time.Second
	// ReaderLook is the longest pause between looks whether the engine reads the output
	// of a process that has ended: nothing tells of it.
	ReaderLook = 50 * time.Millisecond
	// LoggerReady is how long a logging program may take to say that it reads.
	LoggerReady = 10 * time.Second
	// LoggerEnd is how long it may take to write the rest after the end of its inputs,
	// and again after SIGTERM.
	LoggerEnd = 10 * time.Second
	// Event bounds one attempt to hand an event to containerd.
	Event = 5 * time.Second
	// EventRetry doubles, while containerd is away, up to EventRetryMost.
	EventRetry     = 20 * time.Millisecond
	EventRetryMost = 5 * time.Second
	// Leave bounds how long a leaving shim waits for containerd to take the last
	// events. The end of a pod that a signal ends, or that a Delete could not end
	// wholly, comes before and has [Stop].
	Leave = 10 * time.Second
	// HangUp bounds how long a leaving shim waits for engines to close their
	// connections. containerd does at once; one that does not is left.
	HangUp = time.Second
	// Abandoned is how long a shim without any container waits, after the engine went
	// away under the Create of its first one, for another engine to do something about
	// it. One that lives deletes the shim at once.
	Abandoned = 2 * time.Second
	// Answers bounds the question whether somebody answers on a shim's socket.
	Answers = 100 * time.Millisecond
	// QuietShim is how long the shim waits after an event before it gives memory back,
	// so that a burst of execs pays for it once. It is not put off by what follows.
	QuietShim = time.Second
	// QuietCall is how long the shim waits after the last call of a burst before it
	// gives back the pages of its binary, and QuietShim the longest that a burst delays
	// it. To drop them takes 0.1 ms, and to have them again 2 µs for each of some
	// hundred faults, so that it may happen between the calls of one exec; containerd
	// asks every pod for its statistics each second, and the pages stay that much longer.
	QuietCall = 20 * time.Millisecond
)

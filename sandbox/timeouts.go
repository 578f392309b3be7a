// SPDX-License-Identifier: Apache-2.0

package sandbox

import "time"

// The times are for a host with ten times as many processes that want to run as it
// has processors, on which starting a guest takes tens of seconds and the end of a
// killed VMM more than ten: a slow host must not turn a correct call into an error,
// or an end into something that is left behind. A time that is too long costs
// something only where a guest hangs but its VMM lives, which is rare, and for not
// longer than until the watch of its liveness ends the pod.
//
// Every call to the guest ends at the first of: an answer, the caller's
// context, the pod's death, and the time below. They bound a guest that hangs; a
// guest that dies is noticed at once without them.
const (
	// dialTimeout bounds the wait for the agent when the configuration says
	// nothing: boot of the guest included.
	dialTimeout = 45 * time.Second
	// checkTimeout bounds Health.Check of an agent that listens already.
	checkTimeout = 30 * time.Second
	// createTimeout bounds CreateContainer when the configuration says nothing:
	// the agent waits for disks and mounts file systems.
	createTimeout = 60 * time.Second
	// requestTimeout bounds all calls that change the guest and for which there
	// is no reason to differ.
	requestTimeout = 30 * time.Second
	// unplugTimeout bounds the guest's letting go of a device: some controllers
	// give people five seconds to think better of it.
	unplugTimeout = 60 * time.Second
	// queryTimeout bounds calls that only read: kubelet asks for statistics
	// every ten seconds, and a late answer is of no use to it.
	queryTimeout = 10 * time.Second
	// signalTimeout bounds SignalProcess. A kill that fails is a stop that fails:
	// it is given up only when the pod is about to be, for its hanging guest.
	signalTimeout = 30 * time.Second
	// destroySandboxTimeout bounds the guest's chance to write back its disks: what
	// it has not written is lost, since the VM is killed afterwards whether it
	// answered or not. It is what a guest that hangs adds to its stop.
	destroySandboxTimeout = 10 * time.Second
	// streamTimeout bounds the dialling of one stdio stream. It is as much a part of
	// the start of a process as the call, and as slow on a busy host.
	streamTimeout = requestTimeout
	// causeTimeout is how long a lost agent connection waits for the VMM's own
	// end, which tells more: a VMM that exits closes the connection first.
	// Processes have their exit codes by then; only the report waits. A VMM gives
	// the guest's memory back between the two.
	causeTimeout = 3 * time.Second
	// lastOutput is how long the output of a pod that died is waited for: what the
	// guest had sent is here already, and who waits for an exit has it in two
	// seconds.
	lastOutput = 500 * time.Millisecond
	// releaseTimeout bounds the release of the pod's resources on the host, the end
	// of the VMM and its helpers and the removal of their cgroup included. What
	// is not released by then stays in the ledger for Cleanup.
	releaseTimeout = 60 * time.Second
	// vmStopTimeout bounds the kill of the VMM. It is half of releaseTimeout, so
	// that something is left for the rest.
	vmStopTimeout = releaseTimeout / 2
	// StopLimit is the longest that [Sandbox.Stop] can take, at the end of a pod that
	// died: the report, the end of the VMM for it, the guest's chance and the
	// release. It takes so long only if the host's kernel does not end processes
	// that were killed. It is less than the two minutes that kubelet gives a call;
	// containerd gives a call to a shim what its own caller gave it.
	StopLimit = causeTimeout + vmStopTimeout + destroySandboxTimeout + releaseTimeout
	// cleanupTimeout bounds Cleanup, which has nothing to ask the guest. The delete
	// action gives it far less, since containerd kills that after five seconds
	// (io.containerd.timeout.shim.cleanup), and has it done again behind its back.
	cleanupTimeout = releaseTimeout
	// lockTimeout bounds the wait for another process that cleans up after the same
	// pod. A living pod holds its ledger as well, and for longer than anybody waits.
	lockTimeout = 2 * time.Second
	// leftoverAge is how long a pod's directory is left to the engine, which cleans
	// up after a shim at once when it hears of its end.
	leftoverAge = 2 * time.Minute
	// livenessInterval spaces the questions whether the agent still answers: one
	// costs a guest under emulation less than a millisecond of a processor.
	livenessInterval = 5 * time.Second
	// livenessAnswer and livenessMisses bound a guest that hangs to 45 s. A guest
	// that swaps, or writes back its disks on a busy host, may be silent for
	// seconds; killing one that comes back costs more than waiting for one that
	// does not.
	livenessAnswer = 10 * time.Second
	livenessMisses = 3
	// oomRetryDelay spaces GetOOMEvent calls that an agent refuses.
	oomRetryDelay = time.Second
)

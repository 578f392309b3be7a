// SPDX-License-Identifier: Apache-2.0

package sandbox

import "time"

// Every call to the guest ends at the first of: an answer, the caller's
// context, the pod's death, and the time below. The times are generous, since a
// guest under emulation on a busy host is slow: they bound a guest that hangs,
// and a guest that dies is noticed at once without them.
const (
	// dialTimeout bounds the wait for the agent when the configuration says
	// nothing: boot of the guest included.
	dialTimeout = 45 * time.Second
	// checkTimeout bounds Health.Check of an agent that listens already.
	checkTimeout = 10 * time.Second
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
	// signalTimeout bounds SignalProcess: a caller that kills wants to know soon
	// whether the guest is worth waiting for.
	signalTimeout = 10 * time.Second
	// destroySandboxTimeout bounds the guest's chance to write back its disks.
	// The VM is killed afterwards whether it answered or not.
	destroySandboxTimeout = 3 * time.Second
	// streamTimeout bounds the dialling of one stdio stream.
	streamTimeout = 10 * time.Second
	// causeTimeout is how long a lost agent connection waits for the VMM's own
	// end, which tells more: a VMM that exits closes the connection first.
	// Processes have their exit codes by then; only the report waits.
	causeTimeout = time.Second
	// releaseTimeout bounds the release of the pod's resources on the host. What
	// is not released by then stays in the ledger for Cleanup.
	releaseTimeout = 20 * time.Second
	// vmStopTimeout bounds the kill of the VMM.
	vmStopTimeout = 10 * time.Second
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

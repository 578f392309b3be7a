// SPDX-License-Identifier: Apache-2.0

package timeouts

import "time"

// Every call to the guest ends at the first of: an answer, the caller's context, the
// pod's death, and the time below. They bound a guest that hangs; a guest that dies
// is noticed at once without them.
const (
	// Dial bounds the wait for the agent when the configuration says nothing: boot of
	// the guest included.
	Dial = 45 * time.Second
	// Check bounds Health.Check of an agent that listens already.
	Check = 30 * time.Second
	// Create bounds CreateContainer when the configuration says nothing: the agent
	// waits for disks and mounts file systems.
	Create = 60 * time.Second
	// Request bounds all calls that change the guest and for which there is no reason
	// to differ. It is as long as a guest that answers nothing counts as alive: of 20
	// that start at once on two busy processors, one took 30 s for its interface.
	Request = LivenessMisses * (LivenessInterval + LivenessAnswer)
	// Unplug bounds the guest's letting go of a device: some controllers give people
	// five seconds to think better of it.
	Unplug = 60 * time.Second
	// Query bounds calls that only read: kubelet asks for statistics every ten
	// seconds, and a late answer is of no use to it.
	Query = 10 * time.Second
	// Counters is how old a container's statistics may be while its guest rests;
	// those of a guest that works are always asked for. Kubelet shows figures that
	// are ten seconds old.
	Counters = 5 * time.Second
	// CountersTail is how long, in processor time, a guest may go on with the answer
	// itself before it counts as working.
	CountersTail = 2 * time.Millisecond
	// Signal bounds SignalProcess. A kill that fails is a stop that fails: it is given
	// up only when the pod is about to be, for its hanging guest.
	Signal = 30 * time.Second
	// DestroySandbox bounds the guest's chance to write back its disks: what it has
	// not written is lost, since the VM is killed afterwards whether it answered or
	// not. It is what a guest that hangs adds to its stop.
	DestroySandbox = 10 * time.Second
	// Stream bounds the dialling of one stdio stream. It is as much a part of the
	// start of a process as the call, and as slow on a busy host.
	Stream = Request
	// Forward bounds the way to a port of the guest; the agent's own dials may take
	// ten seconds.
	Forward = 15 * time.Second
	// Names bounds the agent's setting up of questions for names.
	Names = 10 * time.Second
	// Answer bounds one question for a name: the server may have to ask another one.
	Answer = 10 * time.Second
	// OOMRetry spaces GetOOMEvent calls that an agent refuses.
	OOMRetry = time.Second
	// OOMPace spaces the kills that are passed on from a guest that tells of them
	// without end.
	OOMPace = 100 * time.Millisecond

	// LivenessInterval spaces the questions whether the agent still answers: one
	// costs a guest under emulation less than a millisecond of a processor.
	LivenessInterval = 5 * time.Second
	// LivenessAnswer and LivenessMisses bound a guest that hangs to 45 s. A guest that
	// swaps, or writes back its disks on a busy host, may be silent for seconds;
	// killing one that comes back costs more than waiting for one that does not.
	LivenessAnswer = 10 * time.Second
	LivenessMisses = 3
)

// SPDX-License-Identifier: Apache-2.0

package timeouts

import "time"

const (
	// Engine is what an engine gives the longest of its calls: kubelet's
	// runtime-request-timeout.
	Engine = 2 * time.Minute
	// EngineDelete is what containerd gives the delete action.
	EngineDelete = 5 * time.Second

	// Start bounds the steps of a pod's start, [Dial] included, where the
	// configuration has no longer one: what is left of [Engine] is for taking back.
	Start = 85 * time.Second
	// UndoStart bounds the taking back of a start that failed. It takes so long only
	// if the host's kernel does not end processes that were killed; what is not
	// released by then stays in the ledger.
	UndoStart = 30 * time.Second
	// UndoCreate bounds the taking back of a container that was not created, in the
	// guest and on the host. What is left goes with the pod.
	UndoCreate = 50 * time.Second
	// Stop is the longest that the end of a pod can take, also of one that died: the
	// report, the end of the VMM for it, the guest's chance and the release. It takes
	// so long only if the host's kernel does not end processes that were killed.
	Stop = Cause + StopVM + DestroySandbox + Release
	// Delete is how long the delete action works by itself. containerd kills it after
	// [EngineDelete] and forgets the pod then, while on a busy host a VMM that was
	// killed may take more than ten seconds to be gone: a process of its own goes on.
	Delete = 4 * time.Second
	// ShimGrace is how long the delete action waits for a shim that may be about to
	// leave. It leaves Delete a second.
	ShimGrace = 3 * time.Second
	// ShimKill is how long a shim that is killed by the delete action may take to
	// disappear. The engine does not wait so long, and nothing has been cleaned up
	// then: the next pod that starts does it.
	ShimKill = 5 * time.Second
)

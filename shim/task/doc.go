// SPDX-License-Identifier: Apache-2.0

// Package task is containerd's Task service: version 3, and the same methods
// again as version 2, whose messages are the same bytes.
//
// Its methods translate, call the pod, and translate back. What it keeps itself
// is what must be answered without asking anybody: the state of every process,
// from memory, so that State never waits.
//
// A process as an engine sees it:
//
//	created --start--> running --exit--> stopped
//	running --pause--> paused --resume--> running
//	paused --exit--> stopped
//	created --exit--> stopped
//
// An exit is recorded, published and told to those who wait only after the
// process's output is with the engine.
//
// Locks: Service.mu guards the table of containers; container.order makes
// life-cycle calls of one container follow each other and is the only one held
// across calls to the guest; process.starting keeps an exit behind its start;
// process.mu guards what State reports.
package task

// SPDX-License-Identifier: Apache-2.0

package main

import "slices"

// points are the named steps of a pod's life, in order. "start/" is a step of the sandbox's start as the shim's log and
// timeline name it, or "shim", which is there when its process is; "ledger/" the first resource of a kind that the
// shim has entered in its ledger; the others are calls of the engine. A fault strikes at the beginning of the step, or
// a drawn delay after it; at "run/idle" and "exec/running" nothing else goes on.
var points = []string{
	"start/shim", "start/check", "start/template", "start/cgroup", "ledger/cgroup", "start/netns", "start/directory",
	"ledger/directory", "start/network", "ledger/tap", "start/clone", "ledger/process", "start/vm", "start/agent",
	"start/guest-network", "start/guest-sandbox", "run/create-1", "start/share", "ledger/mount", "run/start-1",
	"run/create-2", "run/start-2", "run/idle", "exec/create", "exec/running", "stop/container", "stop/pod", "stop/remove",
}

// between are the points from one to another, both included.
func between(first, last string) []string {
	return points[slices.Index(points, first) : slices.Index(points, last)+1]
}

// observed tells whether a point is seen, and not reached by a call of this program.
func observed(point string) bool { return point[:5] == "start" || point[:6] == "ledger" }

// stopping tells whether a point is part of the end that the engine asks for.
func stopping(point string) bool { return point[:4] == "stop" }

// atRest tells whether the fault strikes while nothing else goes on: elsewhere the containers are the life's, which makes
// them meanwhile.
func (c *cycle) atRest() bool { return c.plan.point == "run/idle" || c.plan.point == "exec/running" }

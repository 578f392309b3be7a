// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
)

// effect is what a fault does to the pod.
type effect int

const (
	// deadly ends the pod.
	deadly effect = iota
	// ends ends a container, and no more.
	ends
	// passes is over after a while, and the pod goes on: calls may be late, and do not fail.
	passes
	// refuses makes calls fail while it lasts, and may end the pod.
	refuses
	// crashes takes the engine away: calls fail, and are made again.
	crashes
)

// fault is something terrible.
type fault struct {
	name   string
	effect effect
	points []string
	// needs say which pods have what the fault hits.
	needsShare, needsBundle, needsPod bool
	// codes are those that the log may name as the cause; none is for faults that leave nobody to tell.
	codes []string
	// strike does it and returns when it is done. lift, if there is one, is called after the plan's hold.
	strike func(ctx context.Context, c *cycle) error
	lift   func(ctx context.Context, c *cycle) error
}

// allowed are the points at which the fault can strike.
func (f fault) allowed() []string { return f.points }

// errNoTarget is a strike's way to say that what it hits is gone, or never came.
var errNoTarget = errors.New("there is nothing to strike at")

// faults are all there are.
func faults() []fault {
	everywhere := between("start/shim", "stop/remove")
	withVMM := between("ledger/process", "stop/pod")
	atRun := []string{"run/idle", "exec/create", "exec/running", "stop/container", "stop/pod"}
	withShare := append(between("start/share", "run/start-1"), between("run/create-2", "stop/pod")...)
	return []fault{
		{name: "kill-shim", effect: deadly, points: everywhere, strike: killShim},
		{name: "kill-vmm", effect: deadly, points: withVMM, strike: killVMM, codes: []string{"vmm-died", "vmm-failed", "agent-lost", "agent-failed"}},
		{name: "kill-virtiofsd", effect: deadly, points: withShare, needsShare: true, strike: killVirtiofsd,
			codes: []string{"virtiofsd-died", "share-failed", "agent-lost", "vmm-died"}},
		{name: "kill-agent", effect: deadly, points: atRun, needsPod: true, strike: killAgent, codes: []string{"guest-panicked", "agent-lost"}},
		{name: "panic", effect: deadly, points: atRun, needsPod: true, strike: panicGuest, codes: []string{"guest-panicked"}},
		{name: "kill-init", effect: ends, points: atRun[:4], needsPod: true, strike: killInit},
		{name: "kill-containerd", effect: crashes, points: everywhere, strike: killContainerd},
		{name: "stop-vmm", effect: passes, points: withVMM, strike: stopVMM, lift: continueVMM},
		{name: "stop-shim", effect: passes, points: everywhere, strike: stopShim, lift: continueShim},
		{name: "full-tmpfs", effect: passes, points: atRun[:4], needsPod: true, strike: fillTmpfs},
		{name: "no-netns", effect: refuses, points: between("start/netns", "stop/pod"), needsBundle: true, strike: removeNetNS},
		{name: "no-tap", effect: refuses, points: between("ledger/tap", "stop/pod"), needsBundle: true, strike: removeTap},
		{name: "full-state", effect: refuses, points: everywhere, strike: fillState, lift: emptyState},
		{name: "no-files", effect: refuses, points: everywhere, strike: exhaustFiles, lift: returnFiles},
		{name: "no-memory-shim", effect: refuses, points: everywhere, strike: exhaustShimMemory, lift: returnMemory},
		{name: "no-memory-vmm", effect: refuses, points: withVMM, strike: exhaustVMMMemory, lift: returnMemory},
	}
}

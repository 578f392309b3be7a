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
	// hangs says that the death is no event: see plan.within.
	hangs bool
	// codes are those that may be named as the cause of the pod's death; none is for faults that leave nobody to tell,
	// or let the pod live.
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
	return append(append(killings(), pauses()...), shortages()...)
}

// withVMM are the points at which there is a VMM, or is about to be one.
func withVMM() []string { return between("ledger/process", "stop/pod") }

// atRun are the points at which the second container runs, from which the guest can be struck.
func atRun() []string {
	return []string{"run/idle", "exec/create", "exec/running", "stop/container", "stop/pod"}
}

func withShare() []string {
	return append(between("start/share", "run/start-1"), between("run/create-2", "stop/pod")...)
}

func everywhere() []string { return between("start/shim", "stop/remove") }

// ofVMM are the codes of a pod whose VMM ended. While the VM starts, or where the host is busy, whoever speaks to it
// may notice first.
func ofVMM() []string { return []string{"vmm-died", "vmm-failed", "agent-lost", "agent-failed"} }

func killings() []fault {
	return []fault{
		{name: "kill-shim", effect: deadly, points: everywhere(), strike: killShim},
		{name: "kill-vmm", effect: deadly, points: withVMM(), strike: killVMM, codes: ofVMM()},
		{name: "kill-virtiofsd", effect: deadly, points: withShare(), needsShare: true, strike: killVirtiofsd,
			codes: []string{"virtiofsd-died", "share-failed", "agent-lost", "vmm-died"}},
		{name: "kill-agent", effect: deadly, points: atRun(), needsPod: true, strike: killAgent, codes: []string{"guest-panicked", "agent-lost"}},
		{name: "wreck-agent", effect: deadly, points: between("start/clone", "stop/pod"), strike: wreckAgent,
			codes: []string{"guest-panicked", "agent-lost", "agent-failed"}},
		{name: "panic", effect: deadly, points: atRun(), needsPod: true, strike: panicGuest, codes: []string{"guest-panicked"}},
		{name: "kill-init", effect: ends, points: atRun()[:4], needsPod: true, strike: killInit},
		{name: "kill-containerd", effect: crashes, points: everywhere(), strike: killContainerd},
	}
}

func pauses() []fault {
	return []fault{
		{name: "stop-vmm", effect: passes, points: withVMM(), strike: stopVMM, lift: continueVMM},
		{name: "stop-shim", effect: passes, points: everywhere(), strike: stopShim, lift: continueShim},
		{name: "freeze-vmm", effect: deadly, hangs: true, points: withVMM(), strike: stopVMM,
			codes: []string{"guest-hangs", "agent-timeout", "agent-failed", "vmm-failed", "network-failed"}},
	}
}

// shortages are of all that a host can have too little of.
func shortages() []fault {
	dying := append(ofVMM(), "host-oom", "host-exhausted")
	// What a shim starts has its limits, and says in words of its own what it lacks.
	inherited := []string{"host-exhausted", "vmm-failed", "share-failed"}
	return []fault{
		{name: "no-netns", effect: refuses, points: between("start/netns", "stop/pod"), needsBundle: true, strike: removeNetNS,
			codes: []string{"network-failed"}},
		{name: "no-tap", effect: refuses, points: between("ledger/tap", "stop/pod"), needsBundle: true, strike: removeTap,
			codes: []string{"network-failed"}},
		{name: "full-tmpfs", effect: passes, points: atRun()[:4], needsPod: true, strike: fillTmpfs},
		{name: "full-state", effect: refuses, points: everywhere(), strike: fillState, lift: emptyState, codes: []string{"host-exhausted"}},
		{name: "full-run", effect: refuses, points: everywhere(), strike: fillRun, lift: emptyRun, codes: []string{"host-exhausted"}},
		{name: "full-roots", effect: refuses, points: everywhere(), strike: fillRoots, lift: emptyRoots, codes: []string{"host-exhausted"}},
		{name: "no-files-shim", effect: refuses, points: everywhere(), strike: exhaustFiles, lift: returnFiles, codes: inherited},
		{name: "no-files-vmm", effect: refuses, points: withVMM(), strike: exhaustVMMFiles, lift: returnFiles,
			codes: append(ofVMM(), "share-failed", "network-failed")},
		{name: "no-files-share", effect: refuses, points: withShare(), needsShare: true, strike: exhaustVirtiofsdFiles, lift: returnFiles,
			codes: []string{"virtiofsd-died", "share-failed"}},
		{name: "no-memory-shim", effect: refuses, points: everywhere(), strike: exhaustShimMemory, lift: returnMemory,
			codes: inherited},
		{name: "no-memory-vmm", effect: refuses, points: withVMM(), strike: exhaustVMMMemory, lift: returnMemory, codes: dying},
		{name: "no-memory-pod", effect: refuses, points: withVMM(), strike: exhaustPodMemory, codes: append(dying, "virtiofsd-died")},
	}
}

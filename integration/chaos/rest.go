// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// judgeRest looks at the node after the removal, and returns how long it took until nothing was left.
func (c *cycle) judgeRest(ctx context.Context) time.Duration {
	ctx = context.WithoutCancel(ctx)
	if c.up {
		clear(c.owed)
	}
	c.judgeUnseen()
	took := c.judgeLeft(ctx)
	if c.cut && c.pastNetNS != "" {
		c.judgeForgotten(ctx)
	}
	if _, slow := c.states.worst(); slow != "" {
		c.wrong("%s", slow)
	}
	if len(c.calls) > 1 && (len(c.ledgerLines()) == 0 || !c.states.opened()) {
		c.wrong("the suite itself has not seen the pod: %d lines of its ledger, a connection to its shim: %t", len(c.ledgerLines()), c.states.opened())
	}
	c.judgeEvents()
	c.judgeBystander(ctx)
	return took
}

// restLimit is how long what a pod leaves may take to go.
const restLimit = 5 * time.Second

// judgeLeft looks for what is left, and returns how long it took until nothing was.
func (c *cycle) judgeLeft(ctx context.Context) (took time.Duration) {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, restLimit)
	defer cancel()
	left, err := c.node.WaitEmptyBut(bounded, c.nothing, c.ignored)
	took = time.Since(began)
	if err != nil {
		c.wrong("look at the node: %v", err)
	}
	for _, kind := range node.InventoryKinds() {
		for _, thing := range left[kind] {
			c.wrong("left: %s: %s", kind, thing)
		}
	}
	return took
}

// judgeEvents looks at those of the cycle, and at those of earlier ones that should have come no more.
func (c *cycle) judgeEvents() {
	ids := append([]string{c.id()}, c.containers...)
	for _, id := range slices.Compact(ids) {
		if wrong := disorder(c.events.of(id)); wrong != "" {
			c.wrong("events of %.8s: %s", id, wrong)
		}
	}
	if _, gaps := c.events.of(""); gaps && c.plan.fault.effect != crashes {
		c.wrong("containerd ended the stream of its events")
	}
	for _, e := range c.events.late() {
		c.wrong("event %s of %.8s came after its cycle", e.name, e.container)
	}
	c.events.retire(ids)
}

// neverSeen is how containerd says that a shim which it had started was not there to be connected to.
var neverSeen = regexp.MustCompile(`start failed: failed to create TTRPC connection: dial unix (\S+): connect: connection refused`)

// judgeUnseen looks for a shim that died before the engine was connected to it. The engine forgets it without asking for
// its delete action, so its socket goes with the next pod that ends: until there is one, it is owed.
func (c *cycle) judgeUnseen() {
	if found := neverSeen.FindStringSubmatch(fmt.Sprint(c.end, c.log.text())); found != nil {
		c.owed[found[1]] = true
	}
}

// ignored are things that are not of the pod's runtime: templates are the node's, like images, and what an engine forgets
// that was killed under a call.
func (c *cycle) ignored(kind, thing string) bool {
	if strings.Contains(thing, "/vm/template") {
		return true
	}
	if c.lone() && strings.HasPrefix(thing, "/run/containerd/fifo/") {
		return true // ctr makes these itself, and leaves them when its task is not made
	}
	if kind == "files" && (c.owed[thing] || strings.HasPrefix(thing, "/run/katapod/sockets/") && c.owed[filepath.Join(c.sockets(), filepath.Base(thing))]) {
		return true
	}
	return c.cut && c.ofEngine(kind, thing)
}

// sockets is the engine's directory of them.
func (c *cycle) sockets() string { return filepath.Join(c.node.Root, "run", "s") }

// ofEngine are the things that containerd makes by itself before it asks the runtime for anything, and enters in its own
// database behind that: when it is killed in between, it knows nothing of them when it comes back. They are the network
// namespace, which is a file and a mount; what the CNI plug-in keeps about it, and the end of the veth pair that is
// outside of it; and the directory of the pod with the mount of its /dev/shm.
func (c *cycle) ofEngine(kind, thing string) bool {
	switch kind {
	case "mounts", "files":
		return c.pastNetNS != "" && thing == c.pastNetNS ||
			strings.Contains(thing, "/cni/results/") && strings.Contains(thing, c.id()) ||
			c.under(thing, "io.containerd.grpc.v1.cri/sandboxes")
	case "interfaces":
		return c.pastNetNS != "" && strings.HasPrefix(thing, "veth")
	case "tc":
		return c.pastNetNS != "" && strings.Contains(thing, " dev veth")
	}
	return false
}

// under tells whether a path is the pod's below one of containerd's directories.
func (c *cycle) under(path, dir string) bool {
	own := filepath.Join(c.node.Root, "state", dir, c.id())
	return c.id() != "" && (path == own || strings.HasPrefix(path, own+"/"))
}

// judgeForgotten looks into the network namespace that the engine has forgotten: nothing of the runtime is to be in it.
// What the engine forgot is taken for the node's own from now on.
func (c *cycle) judgeForgotten(ctx context.Context) {
	for _, words := range [][]string{{"ip", "-brief", "link"}, {"tc", "qdisc", "show"}} {
		res, err := c.node.Runner().Try(ctx, "nsenter", append([]string{"--net=" + c.pastNetNS}, words...)...)
		if err != nil || res.Code != 0 {
			break // it is not forgotten
		}
		for _, wrong := range ofRuntime(res.Stdout) {
			c.wrong("left in the pod's network namespace: %s", wrong)
		}
	}
	c.reset(ctx)
}

// ofRuntime are the lines about links and queueing disciplines that the runtime made.
func ofRuntime(text string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "_kata") || strings.Contains(line, "qdisc ingress") || strings.Contains(line, "qdisc clsact") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

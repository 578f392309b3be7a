// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/katapod/katapod/integration/node"
	"github.com/katapod/katapod/protocols/timeouts"
)

// plan is what happens in one cycle.
type plan struct {
	cycle   int
	fault   fault
	point   string
	handler string        // of CRI, or loneHandler
	delay   time.Duration // between the point and the fault
	hold    time.Duration // for which a fault that passes lasts
}

// loneHandler stands for a container that ctr makes, without a pod.
const loneHandler = "ctr"

// rarely is how many rounds there are for each that has a fault after which everybody has to wait.
const rarely = 3

// draw makes the plan of a cycle. Faults and points are dealt as cards are, so that few cycles see many pairs: each
// fault comes once in a round of cycles, or more rarely when it takes long, and each round takes its next point.
func draw(seed uint64, cycle int) plan {
	deal := func(n int, salt uint64) []int { return rand.New(rand.NewPCG(seed, salt)).Perm(n) }
	all := faults()
	f := all[deal(len(all), 0)[cycle%len(all)]]
	round := cycle / len(all)
	if f.hangs && round%rarely != 0 { // a cycle takes a minute
		f = all[slices.IndexFunc(all, func(f fault) bool { return f.name == "kill-vmm" })]
		round += len(f.points) / 2
	} else if f.hangs {
		round /= rarely
	}
	allowed := f.allowed()
	own := rand.New(rand.NewPCG(seed, uint64(cycle+1)*0x9e3779b97f4a7c15)) // an odd constant that spreads small numbers
	p := plan{
		cycle: cycle, fault: f,
		point: allowed[deal(len(allowed), salt(f.name))[round%len(allowed)]],
		delay: time.Duration(own.Int64N(int64(60 * time.Millisecond))),
		hold:  time.Second + time.Duration(own.Int64N(int64(1500*time.Millisecond))),
	}
	if own.IntN(3) == 0 {
		p.delay = 0 // right at the point
	}
	handlers := handlersFor(f, p.point)
	p.handler = handlers[own.IntN(len(handlers))]
	return p
}

func salt(name string) uint64 {
	sum := uint64(2)
	for _, b := range []byte(name) {
		sum = sum*131 + uint64(b)
	}
	return sum
}

// handlersFor are the ways to make a pod that have what the fault hits. One that is there more than once comes more
// often.
func handlersFor(f fault, point string) []string {
	share := []string{"kata", "kata", node.SandboxAPIHandler}
	switch {
	case f.needsShare || point == "start/share" || point == "ledger/mount":
		return share
	case f.needsBundle:
		return []string{"kata", "kata-erofs"}
	case f.needsPod || point == "run/create-2" || point == "run/start-2":
		return append(share, "kata-erofs", "kata-erofs")
	case point == "run/create-1" || point == "run/start-1":
		return append(share, "kata-erofs", node.ColdHandler)
	}
	return append(share, "kata-erofs", "kata-erofs", loneHandler, loneHandler, node.ColdHandler)
}

// within is how long the runtime may take to find the pod dead, as package timeouts has it. Most deaths are events,
// and take none; a pod that hangs is found by the questions to its agent when it runs, and by the bound of its start
// before.
func (p plan) within() time.Duration {
	switch {
	case !p.fault.hangs:
		return 0
	case observed(p.point):
		return timeouts.Start + timeouts.Cause
	}
	return timeouts.LivenessMisses*(timeouts.LivenessInterval+timeouts.LivenessAnswer) + timeouts.LivenessInterval
}

func (p plan) String() string {
	return fmt.Sprintf("%4d  %-15s %-20s %-15s", p.cycle, p.fault.name, p.point, p.handler)
}

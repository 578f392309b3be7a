// SPDX-License-Identifier: Apache-2.0

package main

// rule is one thing that must not grow.
type rule struct {
	name, unit string
	// limit is the growth per pod above which it leaks, while pods come one after another; crowd is the same for
	// pods that come at once, where there are too few samples for noise to cancel out.
	limit, crowd float64
	// noise is how much the whole fitted growth may be whatever the slope: short runs have steep lines.
	noise float64
	why   string
}

// Limits and their reasons. A leak grows with every pod, or with every container or exec of the pod that stays, of
// which there is one each for every pod: by one or more if it is of things, by a goroutine's stack (2 KiB) or more if it
// is of memory.
const (
	one     = 0.9 // of less than a thing nothing is left
	nothing = 0.01
	things  = 0.05
	crowd   = 0.2

	whyNothing = "nothing is left behind, so one thing in a hundred pods is too much"
	whyThings  = "a leak is of one per pod; pools that fill make a twentieth of that"

	kib       = 1.0
	heapLimit = 24 * kib
	heapNoise = 512 * kib
	whyHeap   = "after a forced collection; containerd itself keeps up to 15 KiB for each pod with its two containers, under runc no less (-handler runc-erofs)"

	anonLimit = 16 * kib
	anonNoise = 1024 * kib
	whyAnon   = "a leaked container or process is some 20 KiB of structures, streams and stacks; pages are counted, so that collections make it jagged"

	guestLimit = 32 * kib
	guestNoise = 2048 * kib
	whyGuest   = "a container that is left has 100 KiB of kernel structures (cgroups, mounts, namespaces); caches of the guest's kernel fill"

	crowdMemory    = 512 * kib
	directoryLimit = 0.2
	// Five directories of each of the pods that came at once.
	crowdDirectories = 5
	whyDirectories   = "snapshots are removed behind the pod's removal, so some of the last ones are still there"
)

// rules are in the order in which they are printed.
func rules() []rule {
	var all []rule
	for _, kind := range leftKinds() {
		all = append(all, rule{leftName(kind), "", nothing, crowd, one, whyNothing})
	}
	return append(all,
		rule{containerdFiles, "", things, crowd, one, whyThings},
		rule{containerdRoutines, "", things, crowd, one, whyThings},
		rule{containerdHeap, "KiB", heapLimit, crowdMemory, heapNoise, whyHeap},
		rule{containerdDirectories, "", directoryLimit, crowdDirectories, 5, whyDirectories},
		rule{shimFiles, "", things, crowd, one, whyThings},
		rule{shimRoutines, "", things, crowd, one, whyThings},
		rule{shimThreads, "", things, crowd, one, whyThings},
		rule{shimMemory, "KiB", anonLimit, crowdMemory, anonNoise, whyAnon},
		rule{guestFiles, "", things, crowd, one, whyThings},
		rule{guestTasks, "", things, crowd, one, whyThings},
		rule{guestCgroups, "", things, crowd, one, whyThings},
		rule{guestMemory, "KiB", guestLimit, crowdMemory, guestNoise, whyGuest},
	)
}

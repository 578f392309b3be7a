// SPDX-License-Identifier: Apache-2.0

package main

// rule is one thing that must not grow.
type rule struct {
	name, unit string
	// limit is the growth per pod above which it leaks, while pods come one after another; crowd is the same for
	// pods that come at once, where there are too few samples for noise to cancel out.
	limit, crowd float64
	why          string
}

// Limits and their reasons. A leak grows with every pod, or with every container or exec of the pod that stays, of
// which there is one each for every pod: by one or more if it is of things, by a goroutine's stack (2 KiB) or more if it
// is of memory.
const (
	nothing = 0.01
	things  = 0.05
	crowd   = 0.2

	whyNothing = "nothing is left behind, so one thing in a hundred pods is too much"
	whyThings  = "a leak is of one per pod; pools that fill make a twentieth of that"

	kib       = 1.0
	heapLimit = 4 * kib
	whyHeap   = "after a forced collection; containerd keeps a few events and lease records for a while"

	anonLimit = 16 * kib
	whyAnon   = "a leaked container or process is some 20 KiB of structures, streams and stacks; pages are counted, so that collections make it jagged"

	guestLimit = 24 * kib
	whyGuest   = "a container that is left has 100 KiB of kernel structures (cgroups, mounts, namespaces); caches of the guest's kernel fill"

	crowdMemory    = 512 * kib
	directoryLimit = 0.2
	whyDirectories = "snapshots are removed behind the pod's removal, so some of the last ones are still there"
)

// rules are in the order in which they are printed.
func rules() []rule {
	var all []rule
	for _, kind := range leftKinds() {
		all = append(all, rule{leftName(kind), "", nothing, crowd, whyNothing})
	}
	return append(all,
		rule{containerdFiles, "", things, crowd, whyThings},
		rule{containerdRoutines, "", things, crowd, whyThings},
		rule{containerdHeap, "KiB", heapLimit, crowdMemory, whyHeap},
		rule{containerdDirectories, "", directoryLimit, 1, whyDirectories},
		rule{shimFiles, "", things, crowd, whyThings},
		rule{shimRoutines, "", things, crowd, whyThings},
		rule{shimThreads, "", things, crowd, whyThings},
		rule{shimMemory, "KiB", anonLimit, crowdMemory, whyAnon},
		rule{guestFiles, "", things, crowd, whyThings},
		rule{guestTasks, "", things, crowd, whyThings},
		rule{guestCgroups, "", things, crowd, whyThings},
		rule{guestMemory, "KiB", guestLimit, crowdMemory, whyGuest},
	)
}

// SPDX-License-Identifier: Apache-2.0

// Package sandbox is the pod: a VM, the containers in it, and all that both
// need on the host. It knows no engine; package shim translates for containerd.
//
// # The pod
//
//	created --start--> starting
//	created --stop--> stopping
//	starting --up--> running
//	starting --fail--> stopping
//	running --stop--> stopping
//	running --death--> stopping
//	stopping --released--> stopped
//
// [Sandbox.Start] runs named steps, see stages; a step that fails is named in
// the [Failure], and what was done is undone backwards. Stopping a pod that
// starts makes the start fail.
//
// The file system that a pod shares with its guest is made when the first container
// needs it, and never for a pod whose files all come from disks, see [podShare]. It
// is a step of the timeline whenever it is made.
//
// # Containers and processes
//
// A container has the states of its first process; an exec is never paused.
//
//	created --start--> running
//	created --exit--> stopped
//	running --exit--> stopped
//	running --pause--> paused
//	paused --resume--> running
//	paused --exit--> stopped
//
// # Death
//
// The end of the VMM, of the share's daemon or of the agent's connection is one
// event, see death.go: it ends the pod's life, which cancels every call to the
// guest, gives every process the exit code 137, records the cause, and releases
// what the pod had on the host. Everything that only reads keeps answering.
//
// # What outlives a crash
//
// Everything on the host that would outlive the shim is acquired through
// resources, which writes the ledger first. [Cleanup] works from the ledger
// alone.
//
// # Files
//
// Below the configured state_dir, a pod <id> of containerd's namespace <ns> has
//
//	sbs/<id>@<ns>/ledger         what it holds on the host
//	sbs/<id>@<ns>/timeline.json  the steps of its start
//	sbs/<id>@<ns>/info.json      what it is: VMM, size, namespace
//	sbs/<id>@<ns>/shared/        what virtiofsd serves
//	sbs/<id>@<ns>/netns          its network namespace, if the engine gave none
//	vm/<short id>-<hash>/        sockets, whose paths must be short
//
// Why a pod failed is told where somebody would look, see package failure: in
// failure.json of the pod's bundle, which goes with the bundle, and beside the pods'
// directories, where the last 16 of the host stay:
//
//	failures/<id>@<ns>.json
//
// # Seams
//
// [Drivers] are what a pod needs from the host, so that tests run it over a fake
// VM and without root.
package sandbox

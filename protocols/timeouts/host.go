// SPDX-License-Identifier: Apache-2.0

package timeouts

import "time"

// The pod's end on the host.
const (
	// Cause is how long a lost agent connection waits for the VMM's own end, which
	// tells more: a VMM that exits closes the connection first. Processes have their
	// exit codes by then; only the report waits. A VMM gives the guest's memory back
	// between the two.
	Cause = 3 * time.Second
	// LastOutput is how long the output of a pod that died is waited for: what the guest
	// had sent is here already, and who waits for an exit has it in two seconds.
	LastOutput = 500 * time.Millisecond
	// Release bounds the release of the pod's resources on the host, the end of the
	// VMM and its helpers and the removal of their cgroup included. What is not
	// released by then stays in the ledger for a clean-up.
	Release = 60 * time.Second
	// StopVM bounds the kill of the VMM. It is half of Release, so that something is
	// left for the rest.
	StopVM = Release / 2
	// Place bounds the wait for a place among the pods that start at once. It is a
	// courtesy: a pod that has none by then starts all the same, and has most of [Start]
	// left.
	Place = 30 * time.Second
	// PlaceLook spaces the looks for the place of a process that died, which nobody is
	// told of; one that is given back is an event.
	PlaceLook = time.Second
	// Cleanup bounds a clean-up by the ledger, which has nothing to ask the guest. The
	// delete action gives it far less, and has it done again behind its back.
	Cleanup = Release
	// Lock bounds the wait for another process that cleans up after the same pod. A
	// living pod holds its ledger as well, and for longer than anybody waits.
	Lock = 2 * time.Second
	// LeftoverAge is how long a pod's directory is left to the engine, which cleans up
	// after a shim at once when it hears of its end.
	LeftoverAge = 2 * time.Minute
	// Kill bounds the wait for the end of a process after SIGKILL where the caller's
	// own context no longer counts. One that takes longer is stuck in the kernel.
	Kill = 10 * time.Second
	// KillLook spaces the looks at the caller's context during a wait for the end of
	// a process, which itself is an event.
	KillLook = 100 * time.Millisecond
	// CgroupTakeBack bounds the removal of a group that could not be made: nothing
	// runs in it.
	CgroupTakeBack = time.Second
	// CgroupLook is the longest pause between looks whether a cgroup can be removed
	// at last; nothing tells of that.
	CgroupLook = 64 * time.Millisecond
	// HookPipe bounds the wait for the output of a hook that has ended but left it
	// open to a child.
	HookPipe = time.Second
	// AcceptRetry spaces tries when this process has no file descriptor left.
	AcceptRetry = 100 * time.Millisecond
	// Mkfs bounds the making of a file system on an empty, sparse file, of which only
	// some MiB are written.
	Mkfs = 60 * time.Second
	// CheckStop bounds the end of the VM of a kata-ctl check.
	CheckStop = 30 * time.Second
	// Version bounds a program's answer to --version or --help, which takes some
	// milliseconds.
	Version = 5 * time.Second
)

// Templates, which nobody waits for.
const (
	// TemplateBoot bounds the wait for the agent's first answer: builds give way to
	// pods on a busy host.
	TemplateBoot = 3 * time.Minute
	// TemplateStop bounds the end of the VM.
	TemplateStop = 10 * time.Second
	// TemplateSettle bounds how long a guest is left alone before it is saved.
	TemplateSettle = 15 * time.Second
	// TemplateLook spaces the looks at the memory's size. Several in a row have to
	// find no change: together they are longer than the two seconds after which a
	// guest's kernel gives back free pages.
	TemplateLook = 250 * time.Millisecond
	// TemplateRetry is how long a template that could not be built is not tried again.
	TemplateRetry = 10 * time.Minute
)

// VMMs and their helpers.
const (
	// LastWords bounds the wait for what a process that has ended, or is about to,
	// still has to say on its sockets, and for what undoes half of a hot-plug.
	LastWords = time.Second
	// LastMessage bounds the writing of why a pod died to the files that an engine reads.
	LastMessage = 200 * time.Millisecond
	// DrainLog bounds the wait for the rest of standard error after a process ended,
	// in case a stray child holds it open.
	DrainLog = time.Second
	// Quit is how long QEMU has to end by itself when asked, which lets it flush
	// disks. It takes a few milliseconds.
	Quit = time.Second
	// AskVMM bounds a question to a VMM's program, which takes some ten milliseconds.
	AskVMM = 10 * time.Second
	// Loader bounds the dynamic loader, which takes some milliseconds.
	Loader = 10 * time.Second
	// QMPWrite bounds the sending of one command. Commands are far smaller than a
	// socket's buffer, so a write that blocks means a peer that no longer reads.
	QMPWrite = 5 * time.Second
	// KVMProbe bounds the probe's loop. A KVM that emulates takes a millisecond, a
	// native one microseconds; the rest is for a busy host.
	KVMProbe = 2 * time.Second
)

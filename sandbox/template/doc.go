// SPDX-License-Identifier: Apache-2.0

// Package template keeps saved VMs, from which pods start in the place of a
// boot.
//
// A template is a VM that was booted, asked once, and saved while its agent
// waited for a host. Its key is a digest of everything that shapes the VM: the
// driver's own description of it ([hypervisor.Snapshotter]), the identity of
// each file it is made from, and this boot of the host, so that nothing that
// depends on processor, microcode or kernel outlives a change of them.
//
// A [Store] is a directory:
//
//	<key>/memory         the guest's memory, sparse, read-only
//	<key>/state          what the VMM says about processors and devices, read-only
//	<key>/manifest.json  digests, and how the files looked when these were taken
//	<key>.failed         why it could not be built, and when
//	b-<random>/          a template that is being built, or removed
//	lock                 held by the one process that builds
//
// A template appears by the renaming of its directory, whole. What a builder
// left that was killed is removed by the next one. The number of templates and
// what they take is bounded; those that were used least recently go first. A
// clone that runs is not touched by the removal of its template.
//
// # Trust
//
// The directory is root's alone. A template is checked before each use: the
// state, which is small, by its digest; the memory by size, times and inode,
// which the kernel changes with any write, against those it had when its digest
// was taken. [Store.Verify] takes all digests anew.
//
// # Building
//
// [Build] takes as long as a boot and some seconds more, so it is for a process
// of its own, see [Spawn]: one in a PID namespace of its own, so that whatever
// kills it takes the VMM along.
package template

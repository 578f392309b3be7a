// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps the list of what a sandbox has acquired on the host and
// what would outlive a crash of its shim: processes, TAP devices, namespaces,
// mounts, cgroups, directories, files, sockets.
//
// The rule: [Ledger.Acquire] is called before the thing is made, and
// [Ledger.Release] after it is gone. So whatever instruction a crash happens at,
// everything that exists is in the ledger, and [Replay] undoes it backwards.
// Undoing something that was recorded but never made, or that was undone
// already, is no error: an undo is idempotent.
//
// A process is the exception: its pid is not known before it exists. Record it
// at once after the fork, before it does anything that outlives it. One whose
// owner dies in the gap is found by the pod's cgroup, which it was born in: who
// replays the ledger kills what is left in there.
//
// # File
//
// The ledger is appended to, one JSON object per line, on tmpfs: what it
// describes does not survive a reboot either, and no write waits for a disk. A
// crash can tear the last line only, and since a line is appended before its
// thing is made, a torn line stands for nothing that exists; it is dropped.
// Anything else that is not a valid line means that somebody else wrote the
// file, and nothing in it is believed: [Replay] refuses it rather than unmount
// or kill what a stranger names.
//
// A pod may live for years: once the file has grown and half of it is struck
// out, what is held is written to a second file that takes the name of the first.
// A crash leaves the one or the other under that name; both say the same.
//
// A file system without room refuses what is to be acquired, and nothing else: a
// release counts though it cannot be written, and is written later.
//
// The owner holds flock(2) on the file. Replay takes the same lock, so a
// living owner's things are never undone.
package ledger

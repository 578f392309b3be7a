// SPDX-License-Identifier: Apache-2.0

// Command difftest runs each of its rows twice, under runc and under kata, from the same OCI spec on one private node,
// and compares what came of it: errors, exit codes, output, and what the process saw of itself. The rows that differ
// have to be those that docs/conformance.md lists with a reason, no more and no fewer.
//
// Most rows are containers of one pod for each runtime, made as containerd's CRI plugin makes them; rows that need a
// pod of their own are lone containers, made as ctr makes them, each with a VM of its own. What is compared is the
// transcript of a row (see [transcript]); what has to differ between two kernels is taken out of it by [normal], each
// time with its reason.
package main

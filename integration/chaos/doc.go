// SPDX-License-Identifier: Apache-2.0

// Command chaos takes pods through their life on a private node, does something terrible to each at a step drawn from a
// seed, and checks after each that everybody got an answer, that nothing is left, and that the other pod on the node
// noticed nothing.
//
// A cycle is the seed and its number: the same two give the same fault at the same step with the same delay, though
// not the same interleaving. The steps are seen from outside, never asked for: the shim's debug log names those of its
// start, its ledger what it acquires, and the calls of the life are this program's own. So nothing in the shim knows of
// this suite.
//
// The faults kill a process (shim, VMM, virtiofsd, the guest's agent, a container's init, containerd), stop one for
// seconds or for good, have the guest's kernel panic, take network namespace or TAP away, fill a file system (the
// runtime's state, /run and the engine's state, images and root file systems, the guest's own), or leave no descriptor
// or memory (to the shim, the VMM, virtiofsd, the pod's cgroup). See faults for which strikes where.
//
// What each cycle is held against, each by a check of which a test shows that it sees a violation:
//
//   - whoever waits for a process has an answer, which is no success, within answerLimit of the death, and calls that
//     were under way return within returnLimit; nobody waits any more when the pod has been removed;
//   - State answers within stateLimit at all times, but while the shim itself is stopped;
//   - the containers read exited with a code other than 0, the pod not ready; the shim names one cause, in its log and
//     in the report that stays, and it is one that the fault explains: also where the pod was free to live on, and did
//     not;
//   - the pod can be stopped and removed at the first try, and each again: only while a host refuses something, or the
//     engine is away, calls are made once more;
//   - events come in order and once, and none after its cycle;
//   - nothing of the pod exists five seconds after its removal, see node.Inventory;
//   - the bystander, a pod that runs through all cycles, answers, and its heart beats;
//   - the suite itself has seen the pod.
//
// The limits are for a machine that runs what is ready to run: where there is more, they grow as many times, and the
// time for which this process itself was not run when it should have been is added to them, see stalls. A VMM that hangs
// is found by questions to its agent, within the times of package timeouts.
//
// What is not of the runtime: an engine that is killed under a call forgets the network namespace, the veth pair and the
// directory that it had made for the pod (nothing of the runtime may be in that namespace); one that gets no connection
// to a shim that was killed right after its start forgets the shim, whose socket goes with the next pod that ends; ctr
// leaves the FIFOs of a task that was not made.
//
// Environment: CHAOS_N is the number of cycles, CHAOS_SEED the seed, CHAOS_CYCLE cycles to run again, with commas between
// them. Without CHAOS_N no cycle begins after defaultMost.
package main

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
// What each cycle is held against:
//
//   - whoever waits for a process has an answer, which is no success, within answerLimit of the death;
//   - State answers within stateLimit at all times, but while the shim itself is stopped;
//   - the containers read exited with a code other than 0, the pod not ready, and the log names the cause;
//   - the pod can be stopped and removed, and removed again;
//   - events come in order and once;
//   - nothing of the pod exists leftLimit after its removal, see node.Inventory;
//   - the bystander, a pod that runs through all cycles, answers, and its heart beats.
//
// The limits are for a machine that runs what is ready to run: the time for which this process itself was not run when
// it should have been is added to them, see stalls.
//
// Environment: CHAOS_N is the number of cycles, CHAOS_SEED the seed, CHAOS_CYCLE a single cycle to run again.
package main

// SPDX-License-Identifier: Apache-2.0

// Package integration tests the runtime on a private node: a real containerd, real CNI networks, real virtual
// machines. Its tests share one node, which is started before the first test and has to be empty after the last.
//
// KATAPOD_TEST_RUNTIME=runc runs the tests that make sense for it with runc: it shows that the tests ask for what a
// container runtime does, and that the node works. KATAPOD_TEST_OUT names the build output when it is not out/ of the
// checkout. KATAPOD_TEST_NODE names the node, for runs that go beside each other.
package integration

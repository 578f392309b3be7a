// SPDX-License-Identifier: Apache-2.0

// Package engines holds the tests that drive the runtime through the container engines people use, a folder for each:
// containerd 1.7 and 2.4 (and what lies between), nerdctl, and Docker. `make engines` runs them.
//
// An engine's programs are unpacked from Debian packages of an exact version and checksum, or built from the Go module
// proxy, into the cache; the engine runs on a private node of its own (package node) that is torn down after its
// tests, and a test fails when anything is left then. Package engine has what all of them need.
//
// KATAPOD_TEST_RUNTIME=runc runs the same rows with runc, where that tells something: a row that fails there as well
// asks for too much.
package engines

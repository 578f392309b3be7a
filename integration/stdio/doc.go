// SPDX-License-Identifier: Apache-2.0

// Package stdio tests that the standard streams of processes in a VM are exact: no byte is lost, changed or held back,
// whatever the process, its neighbours and its clients do. The tests drive a real containerd on a private node with
// containerd's own client, and hold the ends of the streams themselves, so that they decide who reads what and when.
//
// All tests share one pod, whose VM is started before the first one; after the last, the shim and the guest must have
// as many descriptors, goroutines and processes as before.
//
// KATAPOD_STDIO_CONTAINERS is how many containers the test of short-lived containers runs (default 200; `make stdio`
// runs 1,000). KATAPOD_TEST_RUNTIME=runc runs the tests with runc, to see that they ask for nothing special.
package stdio

// SPDX-License-Identifier: Apache-2.0

// Package ocispec turns the runtime specification as it comes over the wire
// into the one that an OCI runtime reads ([Container], [Process], [Resources]):
// as JSON, or field by field of the protocol's own messages. It fits it to the guest ([Guest.Apply]): the guest's own network namespace, the pod's
// shared namespaces, the guest's cgroup tree.
//
// The protocol's messages have no way to say "absent" for a number: zero is absent, apart from
// the few numbers for which zero is a value of its own, named where they are
// read.
package ocispec

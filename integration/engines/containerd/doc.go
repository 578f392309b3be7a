// SPDX-License-Identifier: Apache-2.0

// Package containerd tests the runtime under the versions of containerd that are in use: 1.7, which speaks Task v2 and
// hands the bare options to the shim at its start; 2.1, the last that does so; 2.4, with a bootstrap in protobuf,
// Task v3, and snapshotters whose layers reach the shim unmounted.
package containerd

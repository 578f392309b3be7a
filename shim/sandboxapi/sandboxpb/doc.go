// SPDX-License-Identifier: Apache-2.0

// Package sandboxpb holds the messages of containerd's Sandbox service; see
// sandbox.proto for why they are here.
package sandboxpb

//go:generate ./generate

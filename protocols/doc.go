// SPDX-License-Identifier: Apache-2.0

// Package protocols holds what host and guest say to each other: the agent's
// .proto files (proto), the code generated from them (agentpb, typespb), how a
// byte stream reaches a port inside the guest (transport), and how a process's
// standard streams are told apart on such streams (stdio).
//
// The wire contract is that of Kata Containers 3.x, so that either side may be
// an upstream one. A test pins every field number.
package protocols

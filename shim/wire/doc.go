// SPDX-License-Identifier: Apache-2.0

// Package wire is the edge between typed methods and ttrpc. It is the only place
// where errors become gRPC codes.
package wire

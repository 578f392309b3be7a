// SPDX-License-Identifier: Apache-2.0

// Package streams joins the standard streams of processes to connections of
// their own. The host dials guest port 1027 once per stream and names the
// stream by a token (package protocols/stdio); the [Registry] brings a
// connection and the process that waits for its token together, whichever
// comes first.
package streams

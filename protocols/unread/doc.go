// SPDX-License-Identifier: Apache-2.0

// Package unread is how a host tells an agent that it does not read the answer to a
// call, so that the agent need not work for it: to list all routes in the answer to
// UpdateRoutes takes a guest as long as to set them. It is metadata of the call, see
// [ttrpc.MD], which other agents do not look at, and other hosts do not send.
package unread

// SPDX-License-Identifier: Apache-2.0

// Package service answers the RPCs of grpc.AgentService and grpc.Health. It
// only translates: each file decodes the calls of one topic, calls the part of
// the agent that does the work, and encodes what it says. Errors become gRPC
// codes in one place, the interceptor ([Register]).
package service

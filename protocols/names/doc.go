// SPDX-License-Identifier: Apache-2.0

// Package names carries questions to a name server that listens on a loopback
// address of the pod's network namespace on the host, where the guest's own
// loopback does not reach. Docker's is the one: on networks that users made, every
// resolv.conf names 127.0.0.11, and the daemon answers there.
//
// An agent that lists [Feature] among its extra_features takes a stream on guest
// port 1029. The host writes the server's IPv4 address, four bytes. The agent
// takes over port 53 of that address in the guest, UDP and TCP, and answers with
// one byte: 0 when it has, and 1 when it cannot, after which it closes. From then
// on the agent sends questions and the host answers, each answer with its
// question's number and in any order; see [Question] and [Answer]. The agent
// gives the address up when the stream ends.
package names

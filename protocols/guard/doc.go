// SPDX-License-Identifier: Apache-2.0

// Package guard keeps the agent in a guest, which is not to be trusted, to the
// protocol: [Conn] lets through what an honest agent sends, an answer of a bounded
// size to each request that was made, and ends the connection at anything else.
//
// The ttrpc client behind it would take frames without end, and write a line to the
// host's log for each that it did not ask for; it takes messages of up to 4 MiB,
// which decode to fifty times as much, and reads longer ones to their end.
//
// # What a guest can cost
//
//	what a hostile guest does           | what it costs the host
//	------------------------------------+--------------------------------------------
//	endless frames on the serial channel| ends the session at the first that the host
//	                                    | did not ask for (package transport)
//	data of open streams, not read      | 256 KiB per stream, at most 1 MiB of buffer;
//	                                    | 3 streams per process
//	a frame longer than its window      | ends the session; nothing is allocated
//	streams that it never ends          | 1024 of them, 16 KiB each; then the session
//	                                    | ends
//	bytes before the session begins     | 4 MiB are dropped, then the dial fails
//	a greeting without end              | 64 bytes, then the stream is closed
//	ttrpc messages of gigantic lengths  | ends the connection at the header; answers
//	                                    | have up to [MaxAnswer]
//	ttrpc messages that nobody asked for| end the connection
//	requests never answered             | [MaxRequests] numbers, then the connection ends
//	slow bytes, or none                 | time: a pod that starts fails after the dial
//	                                    | timeout, one that runs is killed after 45 s
//	                                    | without an answer to a health check (package
//	                                    | sandbox)
//	an exit with output that never ends | 16 MiB, or 60 s of waiting (shim/stdio)
//	events for other containers         | nothing: an event of a container that is not
//	                                    | the pod's is dropped (shim/task)
//	endless events                      | 64 at once, then 10 in a second (sandbox)
//	error texts                         | 4 KiB of each (sandbox)
//	console and log                     | the last 8 KiB (hypervisor)
//
// Whatever ends a session or connection ends the pod, and nothing but the pod. The
// tests named TestHostile, of sandbox, protocols/transport and shim/metrics, assert
// it: of heap 16 MiB at most for all that a guest says at once (3 MiB are measured),
// 16 KiB for each stream that it does not end (3 KiB), 64 MiB of garbage for the worst
// of statistics; of time 5 s until the pod is dead, or the bound of the health checks;
// and State answers meanwhile.
package guard

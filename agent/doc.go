// SPDX-License-Identifier: Apache-2.0

// Package agent is PID 1 of the guest: it sets the guest up, serves
// grpc.AgentService and grpc.Health to the host, and ends with the guest.
//
// The parts live below it and do not know each other; [Main] joins them:
//
//	boot        mounts, cgroups, limits, kernel command line, power off
//	reaper      the one place that waits for children
//	service     the RPCs: decode, call a part, encode
//	container   containers and their processes
//	crun        the OCI runtime, driven through go-runc
//	ocispec     the runtime specification as it comes over the wire
//	streams     standard streams on connections of their own
//	sandboxns   the namespaces that a pod's containers share
//	storage     file systems and volumes, by driver
//	device      PCI paths, block devices, hot plug
//	guestnet    links, addresses, routes, neighbours, packet filters
//	stats       cgroup and network numbers, metrics text
//	oom         kills of the guest's OOM killer
//	guestfs     files that the host sends
//	guestos     clock, entropy, CPUs, memory, swap, volumes
package agent

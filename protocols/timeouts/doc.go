// SPDX-License-Identifier: Apache-2.0

// Package timeouts has every time that the host side waits for something, each with
// its reason. Tests hold that there is no other, that no call is without one, and that
// what an engine asks for ends within the engine's own deadline.
//
// The times are for a host with ten times as many processes that want to run as it
// has processors, on which starting a guest takes tens of seconds and the end of a
// killed VMM more than ten: a slow host must not turn a correct call into an error,
// or an end into something that is left behind. A time that is too long costs
// something only where a guest hangs but its VMM lives, which is rare, and for not
// longer than until the watch of its liveness ends the pod.
//
// # The engine's deadlines
//
// kubelet gives a call two minutes (runtime-request-timeout), and twice that to the
// start of a pod. containerd gives a call to a shim what its own caller gave it, and
// the delete action five seconds (io.containerd.timeout.shim.cleanup). So each call
// that an engine makes of the shim has to have its answer in less than [Engine], with
// all that is taken back when it fails; [Start], [Create] and [Stop] are the longest.
//
// Two keys of the configuration, dial_timeout and create_container_timeout, take the
// place of [Dial] and [Create]. Who raises them has to raise the engine's deadline too.
package timeouts

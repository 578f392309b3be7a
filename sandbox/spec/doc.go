// SPDX-License-Identifier: Apache-2.0

// Package spec turns a container's OCI spec from the host's form, as containerd
// wrote it, into the guest's form, as the agent gets it.
//
// The work is an ordered list of small pure functions ([ToGuest]). Every field
// of the OCI runtime specification is in exactly one of three lists, [Applied],
// [Refused] and [NoOp]; a test fails when the specification grows a field that
// is in none, and another one sets each field and looks at what happens.
//
// # Rules
//
// A setting that cannot be honoured refuses the container, with an error that
// names the field. Exceptions are reported by [Notes] for the log:
//
//   - A cpuset counts CPUs of the host. It goes along when the guest has those
//     numbers too, and is dropped otherwise: the host's cgroup applies it to the
//     whole VM in any case.
//   - AppArmor profiles that an engine gives to every container on a host with
//     AppArmor guard that host's kernel, which the container never meets; they
//     are dropped. A profile that somebody chose is refused.
//   - SELinux labels and seccomp profiles are dropped when the configuration
//     says so (disable_guest_selinux, disable_guest_seccomp).
//   - A privileged container, one whose device rules allow everything, gets the
//     guest's devices: the list of the host's is dropped.
//
// No host path crosses: paths of namespaces are emptied, the cgroup's path is
// the guest's, mounts and the root come from the storage plan, hooks of the host
// stay there, and annotations that hold host paths are dropped.
package spec

// SPDX-License-Identifier: Apache-2.0

// Package hostcgroup is the control group of a pod on the host: the one that
// the VMM, its helpers and the shim run in. It hides whether the host has
// cgroup v1, v2 or both; where both are mounted the controllers are with v1,
// and v1 is used.
//
// Processes join every controller that the host has. A controller that the host
// lacks is skipped and listed by [Group.Missing]; a limit that would need it is
// an error, since a limit that nobody enforces is worse than none.
//
// The states of a group:
//
//	     Create            Delete
//	(none) ---> existing ---------> gone
//	     Load ^    | Add, Update, Stat, OOMKills
//	          |____|
package hostcgroup

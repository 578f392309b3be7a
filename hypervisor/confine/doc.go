// SPDX-License-Identifier: Apache-2.0

// Package confine starts a process that is not trusted, since a hostile guest may take
// it over: the VMM, or the daemon that serves files to it.
//
// The process has a root directory of its own ([Root]): a tmpfs that is mounted nowhere
// else, read-only, in which a list of files of the host appears under their own names.
// All that it works with it is given as open descriptors. It is in mount, PID, IPC and
// UTS namespaces of its own, sees no /proc, runs as a user that nothing else runs as,
// has no capabilities, and cannot get any (no_new_privs).
//
// There is no launcher in between: a thread of the caller makes all that its own, forks,
// and ends, see [Start]. It costs about 2 ms.
package confine

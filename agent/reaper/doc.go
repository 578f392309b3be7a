// SPDX-License-Identifier: Apache-2.0

// Package reaper collects the exit status of every child of the agent, its own
// and those it inherits, in one place.
//
// PID 1 must wait for all orphans, and a wait for "any child" would steal the
// status from whoever waits for one of them. So only the [Reaper] waits; the
// others are told: those who start a child through [Reaper.Start], go-runc
// through [Reaper.Monitor], and those who learn a PID only after the process
// was started by a third one (crun) through [Reaper.Watch].
package reaper

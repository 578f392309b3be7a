// SPDX-License-Identifier: Apache-2.0

// Package turnstile lets a number of processes of a host do something at a time: the
// shims of pods that start together. Who has no place waits for one.
package turnstile

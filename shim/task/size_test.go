// SPDX-License-Identifier: Apache-2.0

package task

// windowSize is what a fake process was asked for.
type windowSize struct{ width, height uint32 }

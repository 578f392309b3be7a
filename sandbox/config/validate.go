// SPDX-License-Identifier: Apache-2.0

package config

// MinMemoryMiB is the least memory of a guest that upstream accepts.
const MinMemoryMiB = 256

func (l *loader) validate() error { return nil }

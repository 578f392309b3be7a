// SPDX-License-Identifier: Apache-2.0

// Package conformance compares what a suite reported with the list of failures that are expected, in both directions:
// a failure that is not listed is a bug, and a listed spec that passes has to leave the list.
package conformance

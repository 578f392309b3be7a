// SPDX-License-Identifier: Apache-2.0

// Package registry serves the images of the tests as a registry does, so that a pull is a pull: the reading half of
// the OCI Distribution Specification 1.1, from memory.
package registry

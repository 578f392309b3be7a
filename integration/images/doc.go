// SPDX-License-Identifier: Apache-2.0

// Package images makes the small OCI images that the integration tests run, from files of this machine: no registry,
// no network. They come out as one OCI image layout in a tar archive, which containerd imports, or blob by blob for
// package registry. The same inputs give the same bytes.
package images
